/**
 * One emission: checked against the catalogue, given its context, masked, made an OpenTelemetry log record, and handed to
 * the audit trail. This is the hot path of everything that risktrail records.
 *
 * The way of an event: `emit` prepares the attributes once → `Logger.emit` → our processor (the first in the provider)
 * takes the very attributes that were prepared and gives them to the sink, together with the trace that the SDK tied to the
 * record. A record that somebody else emits through the same provider is prepared there instead.
 */
import {
  type Context,
  context,
  isSpanContextValid,
  type Logger,
  type LogRecord,
  type SpanContext,
  trace,
} from '@opentelemetry/api';
import type { LogRecordProcessor, ReadWriteLogRecord } from '@opentelemetry/sdk-logs';
import type { ReliedOn } from '../audit/journal/journal-types.ts';
import { coerceAttributes } from '../audit/record/coerce.ts';
import type { AuditInput } from '../audit/record/encode.ts';
import { SEVERITY_NUMBERS, type Severity } from '../catalog/define.ts';
import { acceptsValue, type Catalog, type PreparedEvent, prepareUnknownEvent } from '../catalog/prepare.ts';
import { type Clock, type HrTime, hrTimeToNanos, toHrTime } from '../core/clock.ts';
import { describeValue } from '../core/errors.ts';
import { createUuidV7 } from '../core/uuid.ts';
import type { Redactor } from './redaction.ts';

/** Where audit events go. Must not throw. */
export interface AuditSink {
  /**
   * @param reliedOn `commit`: nobody relies on the record before the next commit
   * @returns whether the record is written, waits in memory for the disk or the commit, or is lost
   */
  append(input: AuditInput, reliedOn: ReliedOn): { readonly state: 'written' | 'waiting' | 'lost' };
}

/** What a caller may say about one emission besides its attributes. */
export interface EmitOptions {
  /** In place of the catalogue's. */
  readonly severity?: Severity;
  /** A sentence in place of the catalogue's message; masked like free text. */
  readonly body?: string;
  /** When it happened, epoch milliseconds, where that is not now. */
  readonly timeMs?: number;
  /** The OpenTelemetry context that it belongs to, in place of the active one. */
  readonly context?: Context;
}

/** Counts since the start. */
export interface EmitterCounts {
  readonly audit: number;
  readonly telemetry: number;
  /** Events of which something was listed in `audit.coerced`, `audit.invalid` or `audit.missing`. */
  readonly coerced: number;
  readonly invalid: number;
  readonly missing: number;
  /** Emissions in which our own code or a processor threw. The event was recorded all the same where it could be. */
  readonly failed: number;
}

/**
 * Looks at events as they were recorded: masked, with their context, `audit.record.id` among the attributes of an audit event.
 * @param timeMs epoch milliseconds
 */
export type EventObserver = (
  name: string,
  severityNumber: number,
  timeMs: number,
  attributes: Readonly<Record<string, unknown>>,
) => void;

export interface EmitterOptions {
  readonly catalog: Catalog;
  readonly clock: Clock;
  readonly redactor: Redactor;
  readonly sink: AuditSink;
  /** Attributes of the active context, ready to be copied. */
  contextAttributes(active: Context): Readonly<Record<string, unknown>> | undefined;
  /** Told of each event of the catalogue's kind once it is recorded, as it was recorded. Must not throw. */
  readonly observe?: EventObserver | undefined;
  /** Told of the span that an audit event is in; says whether that span is kept. */
  markAudit(active: Context): boolean;
  report(error: unknown, where: string): void;
}

/**
 * Who looks at the SDK's records besides us, so that none is made for nobody: exporters, which carry telemetry alone, or
 * further processors, which see everything.
 */
export type Audience = 'none' | 'exporters' | 'processors';

export interface Emitter {
  /**
   * Records an event. Never throws.
   * @param reliedOn see {@link AuditSink.append}; `append` by default
   * @returns the record id of an audit event; nothing for telemetry, and where nothing could be written
   */
  emit(
    name: string,
    attributes: Readonly<Record<string, unknown>>,
    options?: EmitOptions,
    reliedOn?: ReliedOn,
  ): string | undefined;
  /** To be put first into the logger provider that {@link Emitter.bind} gets its logger from. */
  readonly processor: LogRecordProcessor;
  bind(logger: Logger, audience: Audience): void;
  counts(): EmitterCounts;
}

interface Prepared {
  readonly event: PreparedEvent;
  readonly attributes: Record<string, unknown>;
  readonly severityNumber: number;
  readonly severityText: string;
  readonly body: string;
  readonly time: HrTime;
  readonly reliedOn: ReliedOn;
  /** Given to the sink, or telemetry. */
  taken: boolean;
  /** Written by the sink, or waiting there for the disk. */
  recorded: boolean;
}

/** What the trail itself says of a record. */
const RESERVED = new Set([
  'audit.stream',
  'audit.sequence.number',
  'audit.integrity.value',
  'audit.record.id',
  'audit.invalid',
  'audit.missing',
]);

/** A longer text hardly comes again. */
const MAX_REMEMBERED = 64;

/** Whether a value goes into a record as it stands. */
function isPlain(value: unknown, depth = 0): boolean {
  switch (typeof value) {
    case 'string':
    case 'boolean':
      return true;
    case 'number':
      return Number.isFinite(value);
    case 'object': {
      if (value === null || depth > 8) return false;
      if (Array.isArray(value)) return value.every((item) => isPlain(item, depth + 1));
      const prototype = Object.getPrototypeOf(value);
      if (prototype !== Object.prototype && prototype !== null) return false;
      for (const key in value) if (!isPlain((value as Record<string, unknown>)[key], depth + 1)) return false;
      return true;
    }
    default:
      return false;
  }
}

/** Takes from somebody else's record what only the trail may say: a receiver would take it for a record of the trail. */
function withoutReserved(attributes: Record<string, unknown>): void {
  for (const key of RESERVED) if (attributes[key] !== undefined) delete attributes[key];
}

/** Text for whatever a JavaScript caller gives as a name. */
const nameOf = (name: unknown): string => (typeof name === 'string' ? name : describeValue(name));

/** The span that a record made in this context is tied to, as the SDK's logger ties it. */
function spanOf(active: Context): SpanContext | undefined {
  const span = trace.getSpanContext(active);
  return span !== undefined && isSpanContextValid(span) ? span : undefined;
}

export function createEmitter(options: EmitterOptions): Emitter {
  const { catalog, clock, redactor, sink, report, observe } = options;
  const newRecordId = createUuidV7();
  const counts = { audit: 0, telemetry: 0, coerced: 0, invalid: 0, missing: 0, failed: 0 };
  let logger: Logger | undefined;
  let audience: Audience = 'processors';
  let pending: Prepared | undefined;

  /** Whether anybody but the trail looks at such events. */
  const isSeen = (event: PreparedEvent) =>
    audience === 'processors' || (audience === 'exporters' && event.class !== 'audit');

  function fail(error: unknown, where: string): void {
    counts.failed++;
    report(error, where);
  }

  /**
   * The caller's attributes, masked; the names of those that are unknown or wrong go to `invalid`.
   * @returns nothing where a value isn't plain
   */
  function checkAttributes(
    event: PreparedEvent,
    given: Readonly<Record<string, unknown>>,
    invalid: string[],
  ): Record<string, unknown> | undefined {
    // A copy at once keeps the shape that it has; one put together key by key would grow a dozen times.
    const attributes: Record<string, unknown> = { ...given };
    const known = event.attributes;
    let dropped = false;
    for (const key in attributes) {
      const value = attributes[key];
      const prepared = known[key];
      if (prepared !== undefined && prepared.unchanged === value) continue;
      const definition = prepared?.definition;
      // What is valid is plain, but for what a map may hold.
      if (definition === undefined || definition.type === 'map' || !acceptsValue(definition, value)) {
        if (value === undefined || RESERVED.has(key)) {
          dropped = true;
          continue;
        }
        if (key === '__proto__' || !isPlain(value)) return undefined;
        if (definition === undefined || !acceptsValue(definition, value)) {
          invalid.push(key);
          attributes[key] = redactor.attribute(key, value, definition);
          continue;
        }
      }
      if (typeof value === 'number' || typeof value === 'boolean' || definition.type === 'numbers') continue;
      const masked = redactor.attribute(key, value, definition);
      if (masked !== value) attributes[key] = masked;
      else if (typeof value === 'string') {
        if (value.length <= MAX_REMEMBERED) prepared!.unchanged = value;
      } else if (definition.type === 'strings' && Object.isFrozen(value)) prepared!.unchanged = value;
    }
    if (!dropped) return attributes;
    return Object.fromEntries(
      Object.entries(attributes).filter(([key, value]) => value !== undefined && !RESERVED.has(key)),
    );
  }

  /** The same for values of any kind: first made to fit, then masked. Values that were changed are no longer called wrong. */
  function coerceAndCheck(
    event: PreparedEvent,
    given: Readonly<Record<string, unknown>>,
    invalid: string[],
  ): Record<string, unknown> {
    const plain = coerceAttributes(given);
    const coerced = plain['audit.coerced'] as string[] | undefined;
    const wrong: string[] = [];
    const attributes = checkAttributes(event, plain, wrong) ?? plain;
    for (const key of wrong) {
      if (key !== 'audit.coerced' && (event.attributes[key] === undefined || !coerced?.includes(key)))
        invalid.push(key);
    }
    return attributes;
  }

  /** The attributes as they will be recorded: the event's own checked and masked, then the context's. */
  function prepareAttributes(
    event: PreparedEvent,
    given: Readonly<Record<string, unknown>>,
    active: Context,
    timeMs: number,
  ): Record<string, unknown> {
    const invalid: string[] = [];
    let attributes: Record<string, unknown> | undefined;
    try {
      attributes = checkAttributes(event, given, invalid);
    } catch {
      // A getter or a proxy threw: what can be read is kept, what can't is named.
    }
    if (attributes === undefined) {
      invalid.length = 0;
      attributes = coerceAndCheck(event, given, invalid);
    }
    const contextual = options.contextAttributes(active);
    if (contextual !== undefined) {
      for (const key in contextual) {
        if (attributes[key] === undefined) attributes[key] = contextual[key];
        else if (key === 'metadata')
          attributes[key] = { ...(contextual[key] as object), ...(attributes[key] as object) };
      }
    }
    const { own } = event;
    if (own !== undefined) for (const key in own) attributes[key] ??= own[key];
    if (attributes['audit.coerced'] !== undefined) counts.coerced++;
    if (invalid.length > 0) {
      counts.invalid++;
      attributes['audit.invalid'] = invalid;
    }
    for (const key of event.required) {
      if (attributes[key] !== undefined) continue;
      const missing = attributes['audit.missing'] as string[] | undefined;
      if (missing === undefined) {
        counts.missing++;
        attributes['audit.missing'] = [key];
      } else missing.push(key);
    }
    if (event.class === 'audit') {
      attributes['audit.record.id'] = newRecordId(timeMs);
      if (!options.markAudit(active)) attributes['sampled'] = false;
    }
    return attributes;
  }

  function prepare(
    name: string,
    given: Readonly<Record<string, unknown>>,
    active: Context,
    emission: EmitOptions | undefined,
    reliedOn: ReliedOn,
  ): Prepared {
    const event = catalog.get(name) ?? prepareUnknownEvent(redactor.text(nameOf(name)));
    const timeMs = emission?.timeMs ?? clock.now();
    const attributes = prepareAttributes(event, given, active, timeMs);
    if (event.component === 'unknown') {
      counts.invalid++;
      attributes['audit.invalid'] = ['event.name', ...((attributes['audit.invalid'] as string[] | undefined) ?? [])];
    }
    const severityText = emission?.severity ?? event.severityText;
    return {
      event,
      attributes,
      severityNumber: SEVERITY_NUMBERS[severityText] ?? event.severityNumber,
      severityText,
      body: bodyOf(event, attributes, emission),
      time: toHrTime(timeMs),
      reliedOn,
      taken: false,
      recorded: false,
    };
  }

  function bodyOf(
    event: PreparedEvent,
    attributes: Record<string, unknown>,
    emission: EmitOptions | undefined,
  ): string {
    if (event.class !== 'audit' && !isSeen(event)) return '';
    return emission?.body === undefined ? event.body(attributes) : redactor.text(String(emission.body));
  }

  /** The event without the caller's options, which could not be used. */
  function prepareAlone(
    name: string,
    attributes: Readonly<Record<string, unknown>>,
    reliedOn: ReliedOn,
  ): Prepared | undefined {
    try {
      return prepare(name, attributes ?? {}, context.active(), undefined, reliedOn);
    } catch (error) {
      report(error, `emit ${nameOf(name)}`);
      return undefined;
    }
  }

  function tell({ event, severityNumber, time, attributes }: Prepared): void {
    observe?.(event.name, severityNumber, time[0] * 1000 + time[1] / 1e6, attributes);
  }

  function append(prepared: Prepared, span: { traceId: string; spanId: string; traceFlags: number } | undefined): void {
    counts.audit++;
    prepared.taken = true;
    const input: AuditInput = {
      eventName: prepared.event.name,
      severityNumber: prepared.severityNumber,
      severityText: prepared.severityText,
      body: prepared.body,
      timeUnixNano: hrTimeToNanos(prepared.time),
      traceId: span?.traceId,
      spanId: span?.spanId,
      flags: span?.traceFlags,
      attributes: prepared.attributes,
    };
    const { state } = sink.append(input, prepared.reliedOn);
    prepared.recorded = state !== 'lost';
  }

  /** A record that somebody else emitted: an event of ours by its name, or a plain line. */
  function adopt(record: ReadWriteLogRecord, active: Context): void {
    const name = record.eventName;
    const event = name === undefined ? undefined : catalog.get(name);
    if (event === undefined || event.class !== 'audit') {
      counts.telemetry++;
      withoutReserved(record.attributes as Record<string, unknown>);
      return;
    }
    const time = record.hrTime as HrTime;
    const attributes = prepareAttributes(event, record.attributes as Record<string, unknown>, active, time[0] * 1000);
    // So that later processors can tell it from telemetry.
    record.setAttribute('audit.record.id', attributes['audit.record.id'] as string);
    const prepared: Prepared = {
      event,
      attributes,
      severityNumber: record.severityNumber ?? event.severityNumber,
      severityText: record.severityText ?? event.severityText,
      body: typeof record.body === 'string' && record.body !== '' ? redactor.text(record.body) : event.body(attributes),
      time,
      reliedOn: 'append',
      taken: false,
      recorded: false,
    };
    append(prepared, record.spanContext);
    tell(prepared);
  }

  function toLogger(prepared: Prepared, active: Context): void {
    pending = prepared;
    logger?.emit({
      eventName: prepared.event.name,
      severityNumber: prepared.severityNumber,
      severityText: prepared.severityText,
      body: prepared.body,
      timestamp: prepared.time,
      observedTimestamp: prepared.time,
      // The SDK's type knows no maps; the SDK itself takes them.
      attributes: prepared.attributes as NonNullable<LogRecord['attributes']>,
      context: active,
    });
  }

  const processor: LogRecordProcessor = {
    onEmit(record, active) {
      try {
        if (pending === undefined) adopt(record, active ?? context.active());
        else {
          const own = pending;
          // Later processors may emit on their own: those records are not this one.
          pending = undefined;
          if (own.event.class === 'audit') append(own, record.spanContext);
          else {
            own.taken = true;
            counts.telemetry++;
          }
        }
      } catch (error) {
        fail(error, 'audit processor');
      }
    },
    forceFlush: async () => {},
    shutdown: async () => {},
  };

  return {
    processor,
    bind(bound, looking) {
      logger = bound;
      audience = looking;
    },
    emit(name, attributes, emission, reliedOn = 'append') {
      let active: Context | undefined;
      // An emission from within the SDK, before it asked our processor: the outer record is still to come.
      const outer = pending;
      let prepared: Prepared | undefined;
      try {
        active = emission?.context ?? context.active();
        prepared = prepare(name, attributes ?? {}, active, emission, reliedOn);
        // What nobody else would see is not made: the trail gets an audit event itself.
        if (isSeen(prepared.event)) toLogger(prepared, active);
        else if (prepared.event.class !== 'audit') counts.telemetry++;
      } catch (error) {
        fail(error, `emit ${nameOf(name)}`);
        prepared ??= prepareAlone(name, attributes, reliedOn);
      } finally {
        pending = outer;
      }
      if (prepared?.event.class !== 'audit') {
        if (prepared !== undefined) tell(prepared);
        return undefined;
      }
      // Not yet taken either where the provider was shut down or switched off: the trail records all the same.
      if (!prepared.taken) {
        try {
          append(prepared, spanOf(active ?? context.active()));
        } catch (error) {
          fail(error, 'audit sink');
          return undefined;
        }
      }
      tell(prepared);
      return prepared.recorded ? (prepared.attributes['audit.record.id'] as string) : undefined;
    },
    counts: () => ({ ...counts }),
  };
}
