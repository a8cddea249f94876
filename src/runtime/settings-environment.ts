/** Settings from environment variables: ours by the table, and what OpenTelemetry's own variables say of the service. */
import { describeValue, RiskTrailError } from '../core/errors.ts';
import { nearest } from '../core/options.ts';
import { SETTINGS, type SettingDefinition, type VariableKind } from './settings-table.ts';

/** Environment variables by name, as `process.env` has them. */
export type Environment = Readonly<Record<string, string | undefined>>;

const ENTRIES = Object.entries<SettingDefinition>(SETTINGS);

/** Whether a variable counts as set: an empty one doesn't, as OpenTelemetry's specification says of its own. */
export const isSet = (text: string | undefined): text is string => text !== undefined && text.trim() !== '';

/**
 * The settings that variables give, by key.
 * @throws RiskTrailError OPTION_INVALID, OPTION_UNKNOWN
 */
export function readEnvironment(env: Environment): Readonly<Record<string, unknown>> {
  const known = ENTRIES.flatMap(([, { variable }]) => (variable === undefined ? [] : [variable]));
  for (const name of Object.keys(env)) {
    if (name.startsWith('RISKTRAIL_') && !known.includes(name)) {
      throw new RiskTrailError('OPTION_UNKNOWN', { field: name, hint: nearest(name, known) });
    }
  }
  const resource = readResourceAttributes(env['OTEL_RESOURCE_ATTRIBUTES']);
  const values: Record<string, unknown> = {};
  for (const [key, setting] of ENTRIES) {
    const text = setting.variable === undefined ? undefined : env[setting.variable];
    if (isSet(text)) values[key] = readVariable(setting, text.trim());
    else if (setting.resourceAttribute !== undefined) values[key] = resource[setting.resourceAttribute] || undefined;
  }
  return values;
}

function readVariable(setting: SettingDefinition, text: string): unknown {
  const value = parseVariable(setting.kind ?? 'text', text);
  if (setting.check.accepts(value)) {
    return setting.check.read === undefined ? value : setting.check.read(value, setting.variable!);
  }
  throw new RiskTrailError('OPTION_INVALID', {
    field: setting.variable!,
    expected: setting.check.expected,
    received: describeValue(text),
  });
}

/** Text that isn't of the kind stays text, so that the check refuses it and the message shows it. */
function parseVariable(kind: VariableKind, text: string): unknown {
  switch (kind) {
    case 'number':
      return /^[+-]?(\d[\d_]*)?(\.\d+)?(e[+-]?\d+)?$/i.test(text) ? Number(text.replaceAll('_', '')) : text;
    case 'boolean':
      return /^(true|1)$/i.test(text) ? true : /^(false|0)$/i.test(text) ? false : text;
    case 'list':
      return text
        .split(',')
        .map((item) => item.trim())
        .filter((item) => item !== '');
    default:
      return text;
  }
}

/**
 * OTEL_RESOURCE_ATTRIBUTES: `key=value,key=value`, percent-encoded. As the specification has it, a text that can't be
 * decoded is passed over whole.
 * https://opentelemetry.io/docs/specs/otel/resource/sdk/#specifying-resource-information-via-an-environment-variable
 */
function readResourceAttributes(text: string | undefined): Readonly<Record<string, string>> {
  const attributes: Record<string, string> = {};
  try {
    for (const pair of (text ?? '').split(',')) {
      const at = pair.indexOf('=');
      if (at > 0)
        attributes[decodeURIComponent(pair.slice(0, at).trim())] = decodeURIComponent(pair.slice(at + 1).trim());
    }
  } catch {
    return {};
  }
  return attributes;
}
