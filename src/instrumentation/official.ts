/**
 * OpenTelemetry's own instrumentations of Node's HTTP clients, undici and `fetch`, pg, ioredis and kafkajs: where the program
 * has them installed, they are switched on, each when the program loads or uses what it is about, and no earlier. Their hooks
 * on `require` and `import` aren't used: ours has seen the library's file already. What their spans hold passes the masking
 * of all spans; `traceparent` goes to the hosts that the settings list alone, so those of HTTP don't send it.
 * https://github.com/open-telemetry/opentelemetry-js-contrib/tree/main/packages
 */
import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import { readFileSync } from 'node:fs';
import { createRequire, syncBuiltinESMExports } from 'node:module';
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type Context, context, type TextMapPropagator, trace } from '@opentelemetry/api';
import { findHost, guarded } from './host.ts';

export type OfficialInstrumentation = 'http' | 'undici' | 'pg' | 'ioredis' | 'kafkajs';

/** A file of a library, or a module of Node's, that one knows how to wrap. */
interface Definition {
  readonly name: string;
  readonly supportedVersions: readonly string[];
  patch?(exports: unknown, version?: string): unknown;
}
/** What we use of an instrumentation of `@opentelemetry/instrumentation`. */
interface Official {
  getModuleDefinitions(): readonly Definition[];
  setConfig(config: object): void;
  getConfig(): object;
  enable(): void;
  onRequestCreated?(message: unknown): void;
}
type OfficialClass = new (config: object) => Official;

const SCOPE = '@opentelemetry/instrumentation-';

/** Nothing is told of what no span is around: our own requests, and the program's start. Asked before each request. */
function isAlone(): boolean {
  keepTraceparent();
  return trace.getSpan(context.active()) === undefined;
}

const CLASSES: Readonly<Record<OfficialInstrumentation, readonly [name: string, config: object]>> = {
  // Inbound requests are told by us, with their correlation, which theirs would drop.
  http: ['HttpInstrumentation', { disableIncomingRequestInstrumentation: true, ignoreOutgoingRequestHook: isAlone }],
  undici: ['UndiciInstrumentation', { ignoreRequestHook: isAlone }],
  pg: ['PgInstrumentation', { requireParentSpan: true }],
  ioredis: ['IORedisInstrumentation', { requireParentSpan: true }],
  kafkajs: ['KafkaJsInstrumentation', {}],
};

const made = new Map<OfficialInstrumentation, Official | undefined>();

/** Where the program's packages are found. */
function applicationPaths(): readonly string[] {
  const script = process.argv[1];
  return [...(script === undefined ? [] : [resolve(script)]), join(process.cwd(), 'index.js')];
}

const packageOf = (name: OfficialInstrumentation) => `${SCOPE}${name}`;

/** From where the program has it; undefined where it isn't installed. */
function installedFrom(name: OfficialInstrumentation): string | undefined {
  return applicationPaths().find((path) => {
    try {
      createRequire(path).resolve(packageOf(name));
      return true;
    } catch {
      return false;
    }
  });
}

/** It, made once and not enabled: its own hooks stay out. Undefined where the program doesn't have it, or another SDK runs. */
function official(name: OfficialInstrumentation): Official | undefined {
  if (made.has(name)) return made.get(name);
  made.set(name, undefined);
  // A service with an SDK of its own has its own choice of instrumentations.
  if (findHost()?.settings.attach === true) return undefined;
  const from = installedFrom(name);
  if (from === undefined) return undefined;
  const [className, config] = CLASSES[name];
  const Class = (createRequire(from)(packageOf(name)) as Record<string, OfficialClass | undefined>)[className];
  if (Class === undefined) return undefined;
  const instance = new Class({ ...config, enabled: false });
  instance.setConfig({ ...instance.getConfig(), enabled: true });
  made.set(name, instance);
  return instance;
}

/** A file of a package that has run. @param url its address */
export function instrumentOfficially(name: OfficialInstrumentation, exports: unknown, url: string): void {
  const found = /^(.*\/node_modules\/((?:@[^/]+\/)?[^/]+))\//.exec(url);
  if (found === null) return;
  const [, folder, library] = found as unknown as [string, string, string];
  const manifest = readFileSync(fileURLToPath(`${folder}/package.json`), 'utf8');
  const { version } = JSON.parse(manifest) as { version?: unknown };
  if (typeof version !== 'string') return;
  for (const definition of official(name)?.getModuleDefinitions() ?? []) {
    if (definition.name === library && definition.supportedVersions.some((range) => isWithin(version, range)))
      definition.patch?.(exports, version);
  }
}

/** Whether a version is in a range such as `>=8.0.3 <9`. What is written otherwise is `false`. */
export function isWithin(version: string, range: string): boolean {
  const numbers = (text: string) => text.split(/[-+]/, 1)[0]!.split('.').map(Number);
  const [is, minor = 0, patch = 0] = numbers(version);
  return range
    .trim()
    .split(/\s+/)
    .every((part) => {
      if (part === '*') return true;
      const [, sign, given] = /^(>=|<=|>|<|\^)?(\d+(?:\.\d+){0,2})$/.exec(part) ?? [];
      if (given === undefined) return false;
      const [major, ...rest] = numbers(given);
      const difference = is! - major! || minor - (rest[0] ?? 0) || patch - (rest[1] ?? 0);
      if (sign === '^') return difference >= 0 && is === major;
      if (sign === '>=' || sign === '<=') return sign === '>=' ? difference >= 0 : difference <= 0;
      return sign === '>' ? difference > 0 : sign === '<' ? difference < 0 : difference === 0;
    });
}

const MODULES: Readonly<Record<string, 'http' | 'https'>> = {
  ...{ http: 'http', 'node:http': 'http', https: 'https', 'node:https': 'https' },
};

/** Whether what a file asks for is a module of Node's that is to be wrapped before it gets it. */
export const isHttpModule = (specifier: string): boolean => Object.hasOwn(MODULES, specifier);

/** Whether Node's HTTP clients are to be watched for: looking costs each `import` and `require` a little. */
export const hasOfficialHttp = (): boolean => installedFrom('http') !== undefined;

const wrapped = new Set<string>();

/** Wraps a module of Node's, once, before the first file of the program that asks for it gets it. */
export function instrumentHttpModule(specifier: string): void {
  const name = MODULES[specifier];
  if (name === undefined || wrapped.has(name)) return;
  wrapped.add(name);
  guarded(findHost(), 'http client', () => {
    const definition = official('http')
      ?.getModuleDefinitions()
      .find((one) => one.name === name);
    if (definition === undefined) return;
    definition.patch?.(process.getBuiltinModule(`node:${name}`));
    syncBuiltinESMExports();
  });
}

const REQUEST_CREATED = 'undici:request:create';

/** Waits for the first request by undici or `fetch`, that one included. */
export function watchUndici(): void {
  const first = (message: unknown) => {
    unsubscribe(REQUEST_CREATED, first);
    guarded(findHost(), 'undici', () => {
      const instance = official('undici');
      if (instance === undefined) return;
      instance.enable();
      // Whoever listens from now on isn't told of this one.
      instance.onRequestCreated?.(message);
    });
  };
  subscribe(REQUEST_CREATED, first);
}

const SILENT: readonly unknown[] = [packageOf('http'), packageOf('undici')];

/** Their spans aren't put into the requests that they are of, whenever the propagator was registered. */
function keepTraceparent(): void {
  const registered = (
    globalThis as Record<symbol, { propagation?: TextMapPropagator & { [KEPT]?: true } } | undefined>
  )[Symbol.for('opentelemetry.js.api.1')];
  const inner = registered?.propagation;
  if (registered === undefined || inner === undefined || inner[KEPT]) return;
  registered.propagation = {
    [KEPT]: true,
    fields: () => inner.fields(),
    extract: (active, carrier, getter) => inner.extract(active, carrier, getter),
    inject(active, carrier, setter) {
      if (!SILENT.includes(scopeOf(active))) inner.inject(active, carrier, setter);
    },
  };
}

const KEPT = Symbol.for('risktrail.propagation.kept');

const scopeOf = (active: Context): unknown =>
  (trace.getSpan(active) as { instrumentationScope?: { name?: unknown } } | undefined)?.instrumentationScope?.name;
