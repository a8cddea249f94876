/**
 * The language in which the catalogue is written: what an attribute is, what an event is, and the TypeScript types that
 * the compiler derives from both. The entries themselves stand in `attributes.ts` and in `events/`.
 */

/**
 * The type of an attribute's value.
 * - `string`, `boolean`, `number` (finite), `int` (safe integer)
 * - `decimal`: money or a quantity, a finite number or a decimal string, kept as the caller gives it, never re-rounded
 * - `strings`, `numbers`: lists
 * - `map`: free keys, any values that JSON has
 */
export type AttributeType = 'string' | 'boolean' | 'number' | 'int' | 'decimal' | 'strings' | 'numbers' | 'map';

/** One attribute of the catalogue. */
export interface AttributeDefinition {
  readonly type: AttributeType;
  /** One line: what it is. */
  readonly brief: string;
  /** The unit of a number, in UCUM where there is one: `ms`, `By`, `1` (a ratio), `%`. */
  readonly unit?: string;
  /** The values that a string may take. Another value is recorded and listed in `audit.invalid`. */
  readonly values?: readonly string[];
  /** Free text: masked by value (cards, e-mails, tokens …). Ids, enumerations and numbers never are. */
  readonly text?: true;
}

/** A table of attributes by name. */
export type AttributeTable = Readonly<Record<string, AttributeDefinition>>;

/** The filters (in file-based systems: the log files) that an event belongs to. Events of ERROR and above are in `error` too. */
export const CATEGORIES = [
  'risk',
  'order',
  'trade',
  'position',
  'account',
  'config',
  'strategy',
  'market',
  'api',
  'system',
  'error',
  'daemon',
  'performance',
  'enforcement',
  'alert',
  'audit',
] as const;
export type Category = (typeof CATEGORIES)[number];

/** OpenTelemetry's severities by their short names. */
export const SEVERITY_NUMBERS = { TRACE: 1, DEBUG: 5, INFO: 9, WARN: 13, ERROR: 17, FATAL: 21 } as const;
export type Severity = keyof typeof SEVERITY_NUMBERS;

/** Short name of an OpenTelemetry severity number (1–24); 0 and anything else is INFO's neighbour below: `''`. */
export function severityName(severityNumber: number): Severity | '' {
  if (!(severityNumber >= 1 && severityNumber <= 24)) return '';
  return (['TRACE', 'DEBUG', 'INFO', 'WARN', 'ERROR', 'FATAL'] as const)[Math.floor((severityNumber - 1) / 4)]!;
}

/** `audit`: never dropped, never sampled, part of the proof. `telemetry`: may be dropped, every drop counted. */
export type EventClass = 'audit' | 'telemetry';

/** One event of the catalogue, over the attribute names `A`. */
export interface EventDefinition<A extends string = string> {
  /** What emitted it: `circuit_breaker`, `trailing_stop`, `portfolio_limits`, `order` … */
  readonly component: string;
  readonly category: readonly Category[];
  readonly class: EventClass;
  readonly severity: Severity;
  readonly required: readonly A[];
  readonly optional: readonly A[];
  /** One line: when it is emitted. */
  readonly brief: string;
  /** The body: `{attribute}` is replaced by its value; a part in `[…]` is left out unless all of its attributes are there. */
  readonly message: string;
}

/** A table of events by name. */
export type EventTable<A extends string = string> = Readonly<Record<string, EventDefinition<A>>>;

/** The TypeScript type of an attribute's value. */
export type AttributeValue<D extends AttributeDefinition> = D extends { readonly values: readonly (infer V)[] }
  ? V
  : D['type'] extends 'string'
    ? string
    : D['type'] extends 'boolean'
      ? boolean
      : D['type'] extends 'number' | 'int'
        ? number
        : D['type'] extends 'decimal'
          ? number | string
          : D['type'] extends 'strings'
            ? readonly string[]
            : D['type'] extends 'numbers'
              ? readonly number[]
              : Readonly<Record<string, unknown>>;

/** Required and optional attributes of event `E` over the attribute table `T`; `C` are the names that every event takes. */
export type AttributesOf<T extends AttributeTable, E extends EventDefinition, C extends keyof T & string> = {
  readonly [K in E['required'][number] & keyof T & string]: AttributeValue<T[K]>;
} & {
  readonly [K in Exclude<(E['optional'][number] & keyof T & string) | C, E['required'][number]>]?:
    | AttributeValue<T[K]>
    | undefined;
};
