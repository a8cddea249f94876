/** Who sends the telemetry: the resource of all records and spans. */
import { hostname } from 'node:os';
import type { Attributes } from '@opentelemetry/api';

export interface ResourceOptions {
  readonly serviceName: string;
  readonly serviceVersion?: string | undefined;
  /** `deployment.environment.name`. */
  readonly environment?: string | undefined;
  readonly resourceAttributes?: Readonly<Record<string, unknown>> | undefined;
}

type Report = (error: unknown, where: string) => void;

/**
 * `OTEL_RESOURCE_ATTRIBUTES`: `key=value` pairs with commas between them, percent-encoded.
 * https://opentelemetry.io/docs/specs/otel/resource/sdk/#specifying-resource-information-via-an-environment-variable
 */
function fromEnvironment(text: string | undefined, report: Report): Record<string, string> {
  const result: Record<string, string> = {};
  if (text === undefined || text.trim() === '') return result;
  try {
    for (const pair of text.split(',')) {
      const at = pair.indexOf('=');
      if (at < 1) throw new Error(`"${pair}" is no key=value pair`);
      result[decodeURIComponent(pair.slice(0, at).trim())] = decodeURIComponent(pair.slice(at + 1).trim());
    }
    return result;
  } catch (error) {
    // As the specification asks: nothing of a value that is wrong somewhere.
    report(new Error('OTEL_RESOURCE_ATTRIBUTES could not be read', { cause: error }), 'resource');
    return {};
  }
}

/**
 * The resource's attributes. Options win over the environment. Command line and owner of the process, which the SDK's
 * detectors add, are left out: they hold secrets more often than they help.
 */
export function resourceAttributes(
  options: ResourceOptions,
  env: Readonly<Record<string, string | undefined>>,
  report: Report,
): Attributes {
  return {
    'telemetry.sdk.language': 'nodejs',
    'telemetry.sdk.name': 'opentelemetry',
    'host.name': hostname(),
    'process.pid': process.pid,
    'process.runtime.name': 'nodejs',
    'process.runtime.version': process.versions.node,
    ...fromEnvironment(env['OTEL_RESOURCE_ATTRIBUTES'], report),
    'service.name': options.serviceName,
    ...(options.serviceVersion === undefined ? {} : { 'service.version': options.serviceVersion }),
    ...(options.environment === undefined ? {} : { 'deployment.environment.name': options.environment }),
    ...(options.resourceAttributes as Attributes | undefined),
  };
}
