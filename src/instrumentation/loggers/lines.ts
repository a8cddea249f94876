/**
 * Lines of the program's loggers: they become OpenTelemetry log records of class telemetry, in the trace that is active, and
 * by a rule of the settings audit events. The line itself goes where it went before.
 */
import { context, type LogRecord, logs } from '@opentelemetry/api';
import { ATTRIBUTES } from '../../catalog/attributes.ts';
import { SEVERITY_NUMBERS, type Severity } from '../../catalog/define.ts';
import { findHost, guarded, type InstrumentationHost, type LogRule } from '../host.ts';

export type LineLevel = 'trace' | 'debug' | 'info' | 'warn' | 'error' | 'fatal';

/** One line as its logger has it. */
export interface LogLine {
  readonly library: string;
  /** Name of the logger, where it has one. */
  readonly logger: string | undefined;
  readonly level: LineLevel;
  readonly message: string;
  readonly fields: Readonly<Record<string, unknown>>;
}

const RANKS: Readonly<Record<LineLevel, number>> = { trace: 0, debug: 1, info: 2, warn: 3, error: 4, fatal: 5 };

/** By pino's and bunyan's numbers; levels of the program's own fall on the next lower one. */
export function levelOfNumber(level: number): LineLevel {
  if (level >= 60) return 'fatal';
  if (level >= 50) return 'error';
  if (level >= 40) return 'warn';
  if (level >= 30) return 'info';
  return level >= 20 ? 'debug' : 'trace';
}

/** A line of ours, or of the telemetry that carries it, must not make another: then there would be no end. */
let inside = false;

/** Runs `write`, in which other instrumented loggers say nothing: the line that they carry was told already. */
export function quietly<T>(write: () => T): T {
  const before = inside;
  inside = true;
  try {
    return write();
  } finally {
    inside = before;
  }
}

/** Takes one line. Never throws. @param read what the line is, asked for only where it is wanted */
export function takeLine(read: () => LogLine | undefined): void {
  if (inside) return;
  const host = findHost();
  if (host === undefined) return;
  quietly(() =>
    guarded(host, 'log line', () => {
      const line = read();
      if (line === undefined) return;
      const rule = host.settings.logRules.find((one) => fits(one, line));
      if (rule === undefined) emit(line);
      else promote(host, rule, line);
    }),
  );
}

const patterns = new WeakMap<LogRule, RegExp>();

function fits(rule: LogRule, line: LogLine): boolean {
  if (rule.logger !== undefined && rule.logger !== (line.logger ?? line.library)) return false;
  if (rule.level !== undefined && RANKS[line.level] < RANKS[rule.level]) return false;
  if (rule.match === undefined) return true;
  let pattern = patterns.get(rule);
  if (pattern === undefined) {
    pattern = new RegExp(rule.match, 'u');
    patterns.set(rule, pattern);
  }
  return pattern.test(line.message);
}

/** Fields that the catalogue knows by their whole name become attributes; the others, and the text, go into the free map. */
function promote(host: InstrumentationHost, rule: LogRule, line: LogLine): void {
  const attributes: Record<string, unknown> = {};
  const metadata: Record<string, unknown> = { message: line.message, logger: line.logger ?? line.library };
  for (const [name, value] of Object.entries(line.fields)) {
    if (Object.hasOwn(ATTRIBUTES, name)) attributes[name] = value;
    else if (value instanceof Error) Object.assign(attributes, exception(value));
    else metadata[name] = value;
  }
  const severity = line.level.toUpperCase() as Severity;
  const emitWith = host.emit as unknown as (name: string, attributes: object, options: object) => unknown;
  emitWith.call(host, rule.event, { ...attributes, metadata }, { severity });
}

function exception(error: Error) {
  return {
    'exception.type': error.name,
    'exception.message': error.message,
    ...(error.stack === undefined ? {} : { 'exception.stacktrace': error.stack }),
  };
}

function emit(line: LogLine): void {
  const severityText = line.level.toUpperCase() as Severity;
  const attributes: Record<string, unknown> = { 'log.logger': line.logger ?? line.library };
  for (const [name, value] of Object.entries(line.fields)) {
    if (value instanceof Error) Object.assign(attributes, exception(value));
    else if (typeof value !== 'function' && typeof value !== 'symbol') attributes[name] = value;
  }
  logs.getLogger(`risktrail.${line.library}`).emit({
    severityNumber: SEVERITY_NUMBERS[severityText],
    severityText,
    body: line.message,
    attributes: attributes as NonNullable<LogRecord['attributes']>,
    context: context.active(),
  });
}
