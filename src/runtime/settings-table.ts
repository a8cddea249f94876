/** The one table of all settings: key, environment variable, check, default, brief. `docs/settings.md` is generated from it. */
import type { EventFamily } from '../catalog/define-events.ts';
import type { Clock } from '../core/clock.ts';
import { boolean, type Check, func, integer, list, nested, number, object, oneOf, string } from '../core/options.ts';
import type { LogRule } from '../instrumentation/host.ts';
import { INSTRUMENTATIONS, type Instrumentation } from '../instrumentation/targets.ts';
import type { LogRecordProcessor, SpanProcessor } from '../telemetry/processor-types.ts';
import { ALERTS_CHECK, type AlertsOptions } from './alerts-types.ts';
import { ORDER_RULES_CHECK, type OrderRule } from './order-rules-options.ts';

/** Levels of the plain logger, from the most talkative to none. */
export const LOG_LEVELS = ['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'off'] as const;
export type LogLevel = (typeof LOG_LEVELS)[number];

/** What happens to trading when the journal cannot be written. */
export type AuditFailure = 'continue' | 'reduce-only' | 'halt';

/** Whether an event that must not be lost is on disk before what it announces is done. */
export type Durability = 'process' | 'disk';

/** What `startRiskTrail` is told; everything but the service's name has a default. */
export interface RiskTrailOptions<F extends EventFamily = EventFamily> {
  /** Name of the service, as every record and span carries it. Else OTEL_SERVICE_NAME, else `service.name` of OTEL_RESOURCE_ATTRIBUTES. */
  readonly serviceName?: string | undefined;
  /** Version of the service. Else `service.version` of OTEL_RESOURCE_ATTRIBUTES. */
  readonly serviceVersion?: string | undefined;
  /** Deployment environment, such as production or paper. */
  readonly environment?: string | undefined;
  /** Directory of the trail. @default './risktrail-data' */
  readonly dataDir?: string | undefined;
  /** Ed25519 private key (PKCS#8 PEM) that signs checkpoints. @default signing-key.pem in the data directory, made on first use */
  readonly signingKeyFile?: string | undefined;
  /** A segment of the journal is closed when it has grown to this many bytes. @default 10_000_000 */
  readonly segmentMaxBytes?: number | undefined;
  /** A checkpoint is signed after this many records … @default 1000 */
  readonly checkpointRecords?: number | undefined;
  /** … or after this time, in milliseconds. @default 1000 */
  readonly checkpointIntervalMs?: number | undefined;
  /**
   * `disk`: the events of `durableEvents` are on disk before `writeAhead` goes on. `process`: they survive the death of the
   * process, not a power cut. @default 'process'
   */
  readonly durability?: Durability | undefined;
  /** Events that `durability: 'disk'` is about. @default ['order.intent'] */
  readonly durableEvents?: readonly string[] | undefined;
  /** A write that takes longer than this, in milliseconds, hands further writes to a thread; 0: none does. @default 20 */
  readonly stallBudgetMs?: number | undefined;
  /** Records that can't be written wait in memory, up to so many bytes. @default 32_000_000 */
  readonly waitBufferBytes?: number | undefined;
  /** The journal may take so many bytes of the disk; beyond them it counts as full. @default no bound */
  readonly maxBytes?: number | undefined;
  /** Whether full segments are compressed. @default true */
  readonly sealSegments?: boolean | undefined;
  /** Closes a segment at midnight UTC, too. @default false */
  readonly sealDaily?: boolean | undefined;
  /** Removes what is older than so many days, once it is signed and, where it is shipped, reconciled. @default for ever */
  readonly retentionDays?: number | undefined;
  /** Removes the oldest segments where all take more bytes than this. @default no bound */
  readonly retentionMaxBytes?: number | undefined;
  /** Removes the oldest segments where there are more than this. @default no bound */
  readonly retentionMaxSegments?: number | undefined;
  /** Where each signed checkpoint goes: `dir:…`, `file:…` or an http(s) address. @default none */
  readonly anchors?: readonly string[] | undefined;
  /** `auto` sends the trail where the standard OTLP variables say so; `off` never. @default 'auto' */
  readonly shipping?: 'auto' | 'off' | undefined;
  /** Time between two reports of the trail's own health, in milliseconds; 0 for none. @default 15_000 */
  readonly auditHealthIntervalMs?: number | undefined;
  /** `all` records inputs that change no state, too: replay under other parameters needs them. @default 'changes' */
  readonly recordInputs?: 'changes' | 'all' | undefined;
  /** Timed work that takes longer than this, in milliseconds, is reported as slow. @default 100 */
  readonly slowThresholdMs?: number | undefined;
  /** Whether secrets and personal data are masked before anything is hashed, written or exported. @default true */
  readonly redaction?: boolean | undefined;
  /** Names of attributes and fields whose values are masked, besides the built-in ones. */
  readonly redactKeys?: readonly string[] | undefined;
  /** Names that are no secrets here though the built-in rules say so: `['token']` where that is a coin. */
  readonly redactExcept?: readonly string[] | undefined;
  /** Patterns whose matches in free text are masked, besides the built-in ones. A string is the source of a regular expression. */
  readonly redactPatterns?: readonly (string | RegExp)[] | undefined;
  /** Lowest level of the plain logger's lines on the console. @default 'info' */
  readonly logLevel?: LogLevel | undefined;
  /** Lowest level of the plain logger's lines that become OpenTelemetry log records. @default 'debug' */
  readonly otlpLogLevel?: LogLevel | undefined;
  /** Time between two snapshots of every risk layer's state, in milliseconds; 0 for none. @default 60_000 */
  readonly snapshotIntervalMs?: number | undefined;
  /** Time between two `system.health_check` events, in milliseconds; 0 for none. @default 60_000 */
  readonly healthCheckIntervalMs?: number | undefined;
  /** Keeps to its own logger provider and the global tracer, beside an OpenTelemetry SDK that already runs. @default false */
  readonly attach?: boolean | undefined;
  /** Turns risktrail off: decisions are made, nothing is recorded or exported. @default false */
  readonly disabled?: boolean | undefined;
  /**
   * Whether the risk layers, the gate and the open orders go on from where the trail left them. False: they begin anew, as
   * tests and backtests want it. @default true
   */
  readonly restore?: boolean | undefined;
  /**
   * What a start does where the trail is not to be trusted to its end: halts trading until a person resumes it, on the state
   * of its last good checkpoint; goes on from that state; or begins with nothing. @default 'halt'
   */
  readonly onUntrustedTrail?: 'halt' | 'checkpoint' | 'fresh' | undefined;
  /**
   * A start verifies the tail that it goes on from; so long after it, in milliseconds, a thread verifies the whole trail.
   * 0: never. @default 10_000
   */
  readonly verifyAfterStartMs?: number | undefined;
  /**
   * Which settings a restored breaker or set of limits has where they differ from those before the restart: those of before,
   * those given now; or its construction throws. @default 'apply'
   */
  readonly onConfigChange?: 'keep' | 'apply' | 'refuse' | undefined;
  /** Account that the service trades: the trail of another one is refused. */
  readonly accountId?: string | undefined;
  /** What happens to trading when the journal cannot be written. @default 'continue' */
  readonly auditFailure?: AuditFailure | undefined;
  /** Closes the trail in order at SIGTERM and SIGINT, too. At an exit and an uncaught exception it always is. @default true */
  readonly handleSignals?: boolean | undefined;
  /** Whether alert rules run in the process, or how: see `docs/alerts.md`. @default false */
  readonly alerts?: boolean | AlertsOptions | undefined;
  /** Libraries that are instrumented where the process was started with the flag. @default all of {@link INSTRUMENTATIONS} */
  readonly instrumentations?: readonly Instrumentation[] | undefined;
  /** Lines of the program's loggers that become audit events. @default none */
  readonly logRules?: readonly LogRule[] | undefined;
  /** Rules in front of every order of ccxt: limits, the trading gate, a breaker. @default none */
  readonly orderRules?: readonly OrderRule[] | undefined;
  /** Hosts that outbound requests carry `traceparent` to; `*.example.com` for all below one. @default none */
  readonly propagateTo?: readonly string[] | undefined;
  /** What the flag does where a setting is wrong: stops the process, or lets it run without risktrail. @default 'stop' */
  readonly onError?: 'stop' | 'continue' | undefined;
  /** The settings file. @default risktrail.config.{json,yaml,yml,ts,js,mjs} in the working directory, where there is one */
  readonly configFile?: string | undefined;
  /** Source of time; a backtest gives its own. Code only. */
  readonly clock?: Clock | undefined;
  /** The service's own events, as `defineEvents` returns them. Code only. */
  readonly events?: F | undefined;
  /** Further span processors. Code only. */
  readonly spanProcessors?: readonly SpanProcessor[] | undefined;
  /** Further log record processors. Code only. */
  readonly logProcessors?: readonly LogRecordProcessor[] | undefined;
}

/** How a setting's text in the environment becomes its value. */
export type VariableKind = 'text' | 'number' | 'boolean' | 'list';

/** One line of the table. */
export interface SettingDefinition {
  readonly check: Check<unknown>;
  readonly brief: string;
  /** Environment variable and how its text is read. Absent: not set from the environment. */
  readonly variable?: string;
  readonly kind?: VariableKind;
  /** Key of OTEL_RESOURCE_ATTRIBUTES that gives it where the variable doesn't. */
  readonly resourceAttribute?: string;
  readonly default?: unknown;
  /** What stands for the default in the docs where it is no plain value. */
  readonly defaultText?: string;
  /** Only from code: options or a settings module. */
  readonly codeOnly?: true;
}

/** Longest delay that a Node timer takes: a longer one fires at once. */
const MAX_TIMER_MS = 2 ** 31 - 1;

const LEVEL = oneOf(LOG_LEVELS);
const PATTERN: Check<RegExp> = {
  expected: 'a regular expression or the source of one',
  accepts: (value): value is RegExp => toRegExp(value) !== undefined,
  read: (value) => toRegExp(value)!,
};
const CLOCK: Check<Clock> = {
  expected: 'a clock with now() and monotonic()',
  accepts: (value): value is Clock =>
    typeof value === 'object' &&
    value !== null &&
    func().accepts((value as Clock).now) &&
    func().accepts((value as Clock).monotonic),
};

const LEVELS_OF_RULES = ['trace', 'debug', 'info', 'warn', 'error', 'fatal'] as const;
const LOG_RULE: Check<LogRule> = nested<LogRule>({
  logger: { ...string(), optional: true },
  level: { ...oneOf(LEVELS_OF_RULES), optional: true },
  match: {
    expected: 'the source of a regular expression',
    accepts: (value): value is string => typeof value === 'string' && toRegExp(value) !== undefined,
    optional: true,
  },
  event: string(),
});

const FAMILY: Check<EventFamily> = {
  expected: 'what defineEvents returns',
  accepts: (value): value is EventFamily =>
    object<EventFamily>().accepts(value) && object().accepts(value.events) && object().accepts(value.attributes),
};

/** Every setting by its key, in the order of the docs. */
export const SETTINGS = {
  serviceName: {
    check: string(),
    variable: 'OTEL_SERVICE_NAME',
    resourceAttribute: 'service.name',
    brief: 'Name of the service. Required.',
  },
  serviceVersion: { check: string(), resourceAttribute: 'service.version', brief: 'Version of the service.' },
  environment: {
    check: string(),
    variable: 'RISKTRAIL_ENVIRONMENT',
    resourceAttribute: 'deployment.environment.name',
    brief: 'Deployment environment, such as production or paper.',
  },
  dataDir: {
    check: string(),
    variable: 'RISKTRAIL_DATA_DIR',
    default: './risktrail-data',
    brief: 'Directory of the trail. Commands take it as their first argument, too.',
  },
  signingKeyFile: {
    check: string(),
    variable: 'RISKTRAIL_SIGNING_KEY_FILE',
    defaultText: '`signing-key.pem` in the data directory',
    brief: 'Ed25519 private key (PKCS#8 PEM) that signs checkpoints; made on first use where none is given.',
  },
  segmentMaxBytes: {
    check: integer(1024),
    variable: 'RISKTRAIL_SEGMENT_MAX_BYTES',
    kind: 'number',
    default: 10_000_000,
    brief: 'A segment of the journal is closed when it has grown to this many bytes.',
  },
  checkpointRecords: {
    check: integer(1),
    variable: 'RISKTRAIL_CHECKPOINT_RECORDS',
    kind: 'number',
    default: 1000,
    brief: 'A checkpoint is signed after this many records, or after the interval, whichever comes first.',
  },
  checkpointIntervalMs: {
    check: integer(1, MAX_TIMER_MS),
    variable: 'RISKTRAIL_CHECKPOINT_INTERVAL_MS',
    kind: 'number',
    default: 1000,
    brief: 'A checkpoint is signed after this time, in milliseconds.',
  },
  auditFailure: {
    check: oneOf(['continue', 'reduce-only', 'halt']),
    variable: 'RISKTRAIL_AUDIT_FAILURE',
    default: 'continue',
    brief: 'What happens to trading when the journal cannot be written. Exits always pass.',
  },
  durability: {
    check: oneOf(['process', 'disk']),
    variable: 'RISKTRAIL_DURABILITY',
    default: 'process',
    brief:
      '`disk`: the events of `durableEvents` are on disk before `writeAhead` goes on. `process`: they survive the death of the process, not a power cut.',
  },
  durableEvents: {
    check: list(string()),
    variable: 'RISKTRAIL_DURABLE_EVENTS',
    kind: 'list',
    default: Object.freeze(['order.intent']),
    brief: 'Events that `durability: disk` is about.',
  },
  stallBudgetMs: {
    check: integer(0, MAX_TIMER_MS),
    variable: 'RISKTRAIL_STALL_BUDGET_MS',
    kind: 'number',
    default: 20,
    brief: 'A write that takes longer than this, in milliseconds, hands further writes to a thread; 0: none does.',
  },
  waitBufferBytes: {
    check: integer(0, 1_000_000_000),
    variable: 'RISKTRAIL_WAIT_BUFFER_BYTES',
    kind: 'number',
    default: 32_000_000,
    brief: 'Records that cannot be written wait in memory, up to this many bytes; what goes beyond is counted as lost.',
  },
  maxBytes: {
    check: integer(1_000_000),
    variable: 'RISKTRAIL_MAX_BYTES',
    kind: 'number',
    defaultText: 'no bound',
    brief:
      'The journal may take this many bytes of the disk; beyond them it counts as full. Nothing is removed for it but what retention may remove.',
  },
  sealSegments: {
    check: boolean(),
    variable: 'RISKTRAIL_SEAL_SEGMENTS',
    kind: 'boolean',
    default: true,
    brief: 'Whether full segments are compressed (zstd).',
  },
  sealDaily: {
    check: boolean(),
    variable: 'RISKTRAIL_SEAL_DAILY',
    kind: 'boolean',
    default: false,
    brief: 'Closes a segment at midnight UTC, too, so that no file holds records of two days.',
  },
  retentionDays: {
    check: integer(1),
    variable: 'RISKTRAIL_RETENTION_DAYS',
    kind: 'number',
    defaultText: 'for ever',
    brief:
      'Removes what is older than this many days, once it is signed and, where the trail is shipped, reconciled. With another bound: nothing younger is removed.',
  },
  retentionMaxBytes: {
    check: integer(1_000_000),
    variable: 'RISKTRAIL_RETENTION_MAX_BYTES',
    kind: 'number',
    defaultText: 'no bound',
    brief: 'Removes the oldest segments where all take more bytes than this, under the same conditions.',
  },
  retentionMaxSegments: {
    check: integer(1),
    variable: 'RISKTRAIL_RETENTION_MAX_SEGMENTS',
    kind: 'number',
    defaultText: 'no bound',
    brief: 'Removes the oldest segments where there are more than this, under the same conditions.',
  },
  anchors: {
    check: list(string()),
    variable: 'RISKTRAIL_ANCHORS',
    kind: 'list',
    default: Object.freeze([]),
    brief: 'Where each signed checkpoint goes: `dir:PATH`, `file:PATH` (append only) or an http(s) address.',
  },
  shipping: {
    check: oneOf(['auto', 'off']),
    variable: 'RISKTRAIL_SHIPPING',
    default: 'auto',
    brief: '`auto` sends the trail where the standard OTLP variables of logs say so; `off` keeps it here.',
  },
  auditHealthIntervalMs: {
    check: integer(0, MAX_TIMER_MS),
    variable: 'RISKTRAIL_AUDIT_HEALTH_INTERVAL_MS',
    kind: 'number',
    default: 15_000,
    brief: 'Time between two reports of the trail’s own health (`audit.health`), in milliseconds; 0 for none.',
  },
  restore: {
    check: boolean(),
    variable: 'RISKTRAIL_RESTORE',
    kind: 'boolean',
    default: true,
    brief: 'Whether the risk layers, the gate and the open orders go on from where the trail left them.',
  },
  onUntrustedTrail: {
    check: oneOf(['halt', 'checkpoint', 'fresh']),
    variable: 'RISKTRAIL_ON_UNTRUSTED_TRAIL',
    default: 'halt',
    brief:
      'What a start does where the trail is not to be trusted to its end: halt trading on the state of its last good checkpoint, go on from that state, or begin with nothing.',
  },
  verifyAfterStartMs: {
    check: integer(0, MAX_TIMER_MS),
    variable: 'RISKTRAIL_VERIFY_AFTER_START_MS',
    kind: 'number',
    default: 10_000,
    brief:
      'A start verifies the tail that it goes on from; so long after it, in milliseconds, a thread verifies the whole trail. 0: never.',
  },
  onConfigChange: {
    check: oneOf(['keep', 'apply', 'refuse']),
    variable: 'RISKTRAIL_ON_CONFIG_CHANGE',
    default: 'apply',
    brief:
      'Which settings a restored layer has where they differ: those of before, those given now, or none: it is refused.',
  },
  accountId: {
    check: string(),
    variable: 'RISKTRAIL_ACCOUNT_ID',
    brief: 'Account that the service trades: the trail of another one is refused.',
  },
  recordInputs: {
    check: oneOf(['changes', 'all']),
    variable: 'RISKTRAIL_RECORD_INPUTS',
    default: 'changes',
    brief: 'Whether inputs that change no state are recorded too, which replay under other parameters needs.',
  },
  snapshotIntervalMs: {
    check: integer(0, MAX_TIMER_MS),
    variable: 'RISKTRAIL_SNAPSHOT_INTERVAL_MS',
    kind: 'number',
    default: 60_000,
    brief: 'Time between two snapshots of every risk layer’s state, in milliseconds; 0 for none.',
  },
  healthCheckIntervalMs: {
    check: integer(0, MAX_TIMER_MS),
    variable: 'RISKTRAIL_HEALTH_CHECK_INTERVAL_MS',
    kind: 'number',
    default: 60_000,
    brief: 'Time between two `system.health_check` events, in milliseconds; 0 for none.',
  },
  slowThresholdMs: {
    check: number({ min: 0 }),
    variable: 'RISKTRAIL_SLOW_THRESHOLD_MS',
    kind: 'number',
    default: 100,
    brief: 'Timed work that takes longer than this, in milliseconds, is reported as slow.',
  },
  redaction: {
    check: boolean(),
    variable: 'RISKTRAIL_REDACTION',
    kind: 'boolean',
    default: true,
    brief: 'Whether secrets and personal data are masked before anything is hashed, written or exported.',
  },
  redactKeys: {
    check: list(string()),
    variable: 'RISKTRAIL_REDACT_KEYS',
    kind: 'list',
    default: Object.freeze([]),
    brief: 'Names of attributes and fields whose values are masked, besides the built-in ones.',
  },
  redactExcept: {
    check: list(string()),
    variable: 'RISKTRAIL_REDACT_EXCEPT',
    kind: 'list',
    default: Object.freeze([]),
    brief: 'Names of attributes and fields that are no secrets, though the built-in rules say so.',
  },
  redactPatterns: {
    check: list(PATTERN),
    default: Object.freeze([]),
    brief: 'Regular expressions whose matches in free text are masked, besides the built-in ones.',
  },
  logLevel: {
    check: LEVEL,
    variable: 'RISKTRAIL_LOG_LEVEL',
    default: 'info',
    brief: 'Lowest level of the plain logger’s lines on the console.',
  },
  otlpLogLevel: {
    check: LEVEL,
    variable: 'RISKTRAIL_OTLP_LOG_LEVEL',
    default: 'debug',
    brief: 'Lowest level of the plain logger’s lines that become OpenTelemetry log records.',
  },
  attach: {
    check: boolean(),
    variable: 'RISKTRAIL_ATTACH',
    kind: 'boolean',
    default: false,
    brief: 'Keeps to its own logger provider and the global tracer, beside an OpenTelemetry SDK that already runs.',
  },
  disabled: {
    check: boolean(),
    variable: 'RISKTRAIL_DISABLED',
    kind: 'boolean',
    default: false,
    brief: 'Turns risktrail off: decisions are made, nothing is recorded or exported.',
  },
  handleSignals: {
    check: boolean(),
    variable: 'RISKTRAIL_HANDLE_SIGNALS',
    kind: 'boolean',
    default: true,
    brief: 'Closes the trail in order at SIGTERM and SIGINT, too. At an exit and an uncaught exception it always is.',
  },
  alerts: {
    check: ALERTS_CHECK,
    variable: 'RISKTRAIL_ALERTS',
    kind: 'boolean',
    default: false,
    brief:
      'Whether alert rules run in the process: `true`, or `{ rules, file, webhook, onAlert }`. See [alerts](alerts.md).',
  },
  instrumentations: {
    check: list(oneOf(INSTRUMENTATIONS)),
    variable: 'RISKTRAIL_INSTRUMENTATIONS',
    kind: 'list',
    default: INSTRUMENTATIONS,
    brief:
      'Libraries that are instrumented where the process was started with `--import risktrail/register`. See [instrumentations](instrumentations.md).',
  },
  logRules: {
    check: list(LOG_RULE),
    default: Object.freeze([]),
    brief:
      'Lines of the program’s loggers that become audit events: `{ logger, level, match, event }`, the first rule that fits.',
  },
  orderRules: {
    check: ORDER_RULES_CHECK,
    default: Object.freeze([]),
    brief:
      'Limits, the trading gate and a breaker in front of every order of ccxt, without code: `{ name, mode, exchanges, symbols, limits, breaker, … }`. See [order rules](order-rules.md).',
  },
  propagateTo: {
    check: list(string()),
    variable: 'RISKTRAIL_PROPAGATE_TO',
    kind: 'list',
    default: Object.freeze([]),
    brief: 'Hosts that outbound requests carry `traceparent` to; `*.example.com` for all below one.',
  },
  onError: {
    check: oneOf(['stop', 'continue']),
    variable: 'RISKTRAIL_ON_ERROR',
    default: 'stop',
    brief:
      'What `--import risktrail/register` does where a setting is wrong: stops the process, or lets it run without risktrail and says so. From the environment alone.',
  },
  configFile: {
    check: string(),
    variable: 'RISKTRAIL_CONFIG_FILE',
    defaultText: '`risktrail.config.{json,yaml,yml,ts,js,mjs}` in the working directory, where there is one',
    brief: 'The settings file.',
  },
  clock: { check: CLOCK, codeOnly: true, defaultText: 'the machine’s clocks', brief: 'Source of time.' },
  events: { check: FAMILY, codeOnly: true, brief: 'The service’s own events, as `defineEvents` returns them.' },
  spanProcessors: {
    check: list(object()),
    codeOnly: true,
    default: Object.freeze([]),
    brief: 'Further span processors.',
  },
  logProcessors: {
    check: list(object()),
    codeOnly: true,
    default: Object.freeze([]),
    brief: 'Further log record processors.',
  },
} as const satisfies { readonly [K in keyof Required<RiskTrailOptions>]: SettingDefinition };

function toRegExp(value: unknown): RegExp | undefined {
  if (value instanceof RegExp) return value;
  if (typeof value !== 'string' || value === '') return undefined;
  try {
    return new RegExp(value, 'gu');
  } catch {
    return undefined;
  }
}
