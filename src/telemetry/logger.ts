/**
 * A plain leveled logger for the service's own lines. They are telemetry: exported where there is an exporter, printed where
 * the console level lets them, and never part of the proof. Lines go to stderr, since stdout belongs to the program's output.
 */
import { type Context, context, type Logger, type LogRecord, trace } from '@opentelemetry/api';
import { coerceAttributes } from '../audit/record/coerce.ts';
import { ATTRIBUTES } from '../catalog/attributes.ts';
import { type AttributeDefinition, SEVERITY_NUMBERS, type Severity } from '../catalog/define.ts';
import { type Clock, toHrTime } from '../core/clock.ts';
import { activeContextAttributes } from './context.ts';
import type { Redactor } from './redaction.ts';

export const LOGGER_LEVELS = ['trace', 'debug', 'info', 'warn', 'error', 'fatal'] as const;
export type LoggerLevel = (typeof LOGGER_LEVELS)[number];

type LogMethod = (message: unknown, attributes?: Readonly<Record<string, unknown>>) => void;
/** Also takes an error in place of the message, or as second argument. */
type ErrorLogMethod = (
  message: unknown,
  error?: Error | Readonly<Record<string, unknown>>,
  attributes?: Readonly<Record<string, unknown>>,
) => void;

/** Writes lines of one category. No method throws. */
export interface TrailLogger {
  trace: LogMethod;
  debug: LogMethod;
  info: LogMethod;
  warn: ErrorLogMethod;
  error: ErrorLogMethod;
  fatal: ErrorLogMethod;
  /** A logger that puts these attributes on each of its lines. */
  child(attributes: Readonly<Record<string, unknown>>): TrailLogger;
  /** Whether a line of this level would go anywhere. */
  isEnabled(level: LoggerLevel): boolean;
}

export interface LoggerOptions {
  /** Recorded as `event.category`; the `logger` of the console line. */
  readonly category: string;
  readonly otelLogger: Logger;
  readonly clock: Clock;
  readonly redactor: Redactor;
  /** Least level that is printed. */
  readonly consoleLevel: LoggerLevel | 'off';
  /** Least level that becomes a log record. */
  readonly otlpLevel: LoggerLevel | 'off';
  /** Where a line goes, its newline included. Default: stderr. */
  readonly write?: ((line: string) => void) | undefined;
  /** Readable lines in place of JSON. Default: where stderr is a terminal. */
  readonly pretty?: boolean | undefined;
  /** Told of failures inside. */
  readonly report?: ((error: unknown, where: string) => void) | undefined;
}

const CATALOGUE: Readonly<Record<string, AttributeDefinition>> = ATTRIBUTES;
const RANK: Readonly<Record<string, number>> = { trace: 0, debug: 1, info: 2, warn: 3, error: 4, fatal: 5, off: 6 };
const COLOURS: Readonly<Record<LoggerLevel, number>> = {
  trace: 90,
  debug: 36,
  info: 32,
  warn: 33,
  error: 31,
  fatal: 35,
};

/** One line, masked. */
interface Line {
  readonly level: LoggerLevel;
  readonly message: string;
  readonly attributes: Readonly<Record<string, unknown>>;
  /** Attributes of the context, masked when it was made. */
  readonly context: Readonly<Record<string, unknown>>;
  readonly timeMs: number;
  readonly active: Context;
}

/** Attributes of an exception, as OpenTelemetry names them. */
function exceptionAttributes(error: Error): Record<string, unknown> {
  const { code } = error as { code?: unknown };
  return {
    'exception.type': error.name,
    'exception.message': error.message,
    ...(error.stack === undefined ? {} : { 'exception.stacktrace': error.stack }),
    ...(typeof code === 'string' || typeof code === 'number' ? { 'error.code': String(code) } : {}),
  };
}

function textOf(message: unknown): string {
  if (typeof message === 'string') return message;
  if (message instanceof Error) return message.message;
  try {
    return typeof message === 'object'
      ? JSON.stringify(coerceAttributes({ message })['message'] ?? null)
      : String(message);
  } catch {
    return '[unprintable]';
  }
}

function isColourless(): boolean {
  return process.stderr.hasColors?.() !== true;
}

/** Makes the logger of a category. */
export function createLogger(options: LoggerOptions): TrailLogger {
  const write = options.write ?? ((line: string) => void process.stderr.write(line));
  return buildLogger(options, write, options.pretty ?? process.stderr.isTTY === true, {});
}

function buildLogger(
  options: LoggerOptions,
  write: (line: string) => void,
  pretty: boolean,
  bound: Readonly<Record<string, unknown>>,
): TrailLogger {
  const { category, redactor, clock, otelLogger } = options;
  const consoleRank = RANK[options.consoleLevel] ?? RANK['info']!;
  const otlpRank = RANK[options.otlpLevel] ?? RANK['info']!;

  function masked(given: unknown): Record<string, unknown> {
    const { 'audit.coerced': _changed, ...plain } = coerceAttributes(given);
    for (const key of Object.keys(plain)) {
      const definition = Object.hasOwn(CATALOGUE, key) ? CATALOGUE[key] : undefined;
      plain[key] = redactor.attribute(key, plain[key], definition) as (typeof plain)[string];
    }
    return plain;
  }

  function log(level: LoggerLevel, message: unknown, second?: unknown, third?: unknown): void {
    try {
      const rank = RANK[level]!;
      const toConsole = rank >= consoleRank;
      const toOtlp = rank >= otlpRank;
      if (!toConsole && !toOtlp) return;
      const error = message instanceof Error ? message : second instanceof Error ? second : undefined;
      const given = second === error && error !== undefined ? third : (second ?? third);
      const active = context.active();
      const line: Line = {
        level,
        message: redactor.text(textOf(message)),
        attributes: {
          ...bound,
          ...(given === undefined ? undefined : masked(given)),
          ...(error === undefined ? undefined : masked(exceptionAttributes(error))),
        },
        context: activeContextAttributes(active),
        timeMs: clock.now(),
        active,
      };
      if (toOtlp) attempt(() => emit(line));
      if (toConsole) attempt(() => write(pretty ? prettyLine(line, category) : jsonLine(line, category)));
    } catch (error) {
      tell(error);
    }
  }

  function attempt(act: () => void): void {
    try {
      act();
    } catch (error) {
      tell(error);
    }
  }

  function tell(error: unknown): void {
    try {
      options.report?.(error, `logger ${category}`);
    } catch {
      // Nobody is left to tell.
    }
  }

  function emit(line: Line): void {
    const time = toHrTime(line.timeMs);
    const severityText = line.level.toUpperCase() as Severity;
    otelLogger.emit({
      severityNumber: SEVERITY_NUMBERS[severityText],
      severityText,
      body: line.message,
      timestamp: time,
      observedTimestamp: time,
      attributes: { ...line.context, ...line.attributes, 'event.category': category } as NonNullable<
        LogRecord['attributes']
      >,
      context: line.active,
    });
  }

  const at = (level: LoggerLevel) => (message: unknown, second?: unknown, third?: unknown) =>
    log(level, message, second, third);
  return {
    trace: at('trace'),
    debug: at('debug'),
    info: at('info'),
    warn: at('warn'),
    error: at('error'),
    fatal: at('fatal'),
    child(attributes) {
      let own: Record<string, unknown> = {};
      attempt(() => {
        own = masked(attributes);
      });
      return buildLogger(options, write, pretty, { ...bound, ...own });
    },
    isEnabled: (level) => (RANK[level] ?? -1) >= Math.min(consoleRank, otlpRank),
  };
}

/** One JSON object: `timestamp`, `level`, `logger`, `message`, `context`, the line's attributes, `trace_id`, `span_id`. */
function jsonLine(line: Line, category: string): string {
  const span = trace.getSpanContext(line.active);
  const fields: Record<string, unknown> = {
    timestamp: new Date(line.timeMs).toISOString(),
    level: line.level.toUpperCase(),
    logger: category,
    message: line.message,
  };
  if (Object.keys(line.context).length > 0) fields['context'] = line.context;
  if (Object.keys(line.attributes).length > 0) fields['attributes'] = line.attributes;
  if (span !== undefined) {
    fields['trace_id'] = span.traceId;
    fields['span_id'] = span.spanId;
  }
  return `${JSON.stringify(fields)}\n`;
}

/** `10:30:45.123 WARN  enforcement  Rule breach  trading.account.id=ACC1 …` */
function prettyLine(line: Line, category: string): string {
  const colour = (code: number, text: string) => (isColourless() ? text : `\u001b[${code}m${text}\u001b[0m`);
  const { 'exception.stacktrace': stack, ...attributes } = { ...line.context, ...line.attributes };
  const pairs = Object.entries(attributes).map(
    ([key, value]) => `${key}=${typeof value === 'string' ? printable(value) : JSON.stringify(value)}`,
  );
  const head = [
    colour(90, new Date(line.timeMs).toISOString().slice(11, 23)),
    colour(COLOURS[line.level], line.level.toUpperCase().padEnd(5)),
    `${category} `,
    printable(line.message),
  ].join(' ');
  const tail = pairs.length === 0 ? '' : `  ${colour(90, pairs.join(' '))}`;
  return `${head}${tail}\n${typeof stack === 'string' ? `${printable(stack, true)}\n` : ''}`;
}

/** Control characters could move the cursor or forge a line; they are shown instead. */
function printable(text: string, lines = false): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what is looked for
  return text.replace(/[\u0000-\u001f\u007f-\u009f]/g, (char) =>
    lines && (char === '\n' || char === '\t') ? char : `\\x${char.charCodeAt(0).toString(16).padStart(2, '0')}`,
  );
}
