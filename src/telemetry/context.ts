/**
 * What an event is about, set once and found on every event and span within: account, strategy, rule, session, execution,
 * correlation. It travels in OpenTelemetry's own context, so it follows promises, timers and streams, and concurrent
 * contexts never mix.
 */
import { isPromise } from 'node:util/types';
import {
  type Attributes,
  type Context,
  context,
  createContextKey,
  type Span,
  type SpanContext,
  SpanStatusCode,
  TraceFlags,
  type Tracer,
  trace,
} from '@opentelemetry/api';
import { coerceAttributes } from '../audit/record/coerce.ts';
import { type Clock, toHrTime } from '../core/clock.ts';
import { describeValue, RiskTrailError } from '../core/errors.ts';
import { nearest } from '../core/options.ts';
import { newCorrelationId, newSpanId, traceIdOf, withNextTraceId } from './correlation.ts';
import type { Redactor } from './redaction.ts';

/** The context of a piece of trading work. All fields are optional; inner contexts inherit and override. */
export interface TrailContext {
  readonly accountId?: string | undefined;
  readonly strategyId?: string | undefined;
  readonly ruleId?: string | undefined;
  readonly sessionId?: string | undefined;
  readonly executionId?: string | undefined;
  /** Becomes the trace id where no span is active. Made (a UUID) for an outermost context that gives none. */
  readonly correlationId?: string | undefined;
  readonly symbol?: string | undefined;
  readonly venue?: string | undefined;
  readonly algoId?: string | undefined;
  readonly deskId?: string | undefined;
  readonly clientId?: string | undefined;
  readonly traderId?: string | undefined;
  readonly positionId?: string | undefined;
  /** Free keys. Those of an inner context are added to those of the outer one. */
  readonly metadata?: Readonly<Record<string, unknown>> | undefined;
}

/** Field of {@link TrailContext} → attribute of the catalogue. */
const ATTRIBUTE_OF = {
  accountId: 'trading.account.id',
  strategyId: 'trading.strategy.id',
  ruleId: 'risk.rule.id',
  sessionId: 'trading.session.id',
  executionId: 'trading.execution.id',
  correlationId: 'correlation.id',
  symbol: 'trading.symbol',
  venue: 'trading.venue',
  algoId: 'trading.algo.id',
  deskId: 'trading.desk.id',
  clientId: 'trading.client.id',
  traderId: 'trading.trader.id',
  positionId: 'trading.position.id',
} as const satisfies Record<Exclude<keyof TrailContext, 'metadata'>, string>;

const FIELDS = Object.keys(ATTRIBUTE_OF) as (keyof typeof ATTRIBUTE_OF)[];
const EMPTY: Readonly<Record<string, unknown>> = Object.freeze({});
const METADATA = 'metadata';

/** One context's attributes, made once. */
interface Bag {
  readonly attributes: Readonly<Record<string, unknown>>;
  /** The same without maps, for spans, which hold no maps. */
  readonly forSpans: Attributes;
  /** The span that was opened for this context; absent where the work was already in a span. */
  span: Span | undefined;
}

const BAG = createContextKey('risktrail context');

const bagOf = (active: Context) => active.getValue(BAG) as Bag | undefined;

/** The attributes of the active context, masked, frozen, the same object for as long as the context lasts. */
export function activeContextAttributes(active: Context = context.active()): Readonly<Record<string, unknown>> {
  return bagOf(active)?.attributes ?? EMPTY;
}

/** The same for a span: without `metadata`, which is a map. */
export function activeSpanAttributes(active: Context): Attributes | undefined {
  return bagOf(active)?.forSpans;
}

/** What contexts need to know of the telemetry that they run in. */
export interface ContextSettings {
  /** The tracer provider is somebody else's: it gives ids of its own unless a remote parent carries ours. */
  readonly foreign: boolean;
  readonly redactor: Redactor;
  /** Time of the spans that contexts open. Default: the SDK's own. */
  readonly clock?: Clock | undefined;
  report(error: unknown, where: string): void;
}

const settingsOf = new WeakMap<Tracer, ContextSettings>();

/** Tells which settings hold for contexts that run with this tracer. */
export function bindContextSettings(tracer: Tracer, settings: ContextSettings): void {
  settingsOf.set(tracer, settings);
}

const UNBOUND: ContextSettings = {
  foreign: true,
  redactor: {
    enabled: false,
    attribute: (_name, value) => value,
    text: (text) => text,
    deep: (value) => value,
    url: (url) => url,
  },
  report: () => {},
};

function wrongField(field: string, received: unknown): RiskTrailError {
  return new RiskTrailError('OPTION_INVALID', {
    field: `withContext.${field}`,
    expected: field === METADATA ? 'a map' : 'a string',
    received: describeValue(received),
  });
}

/** The caller's fields as attributes over the outer ones. What is wrong is left out and reported; numbers become text. */
function readFields(
  given: unknown,
  outer: Readonly<Record<string, unknown>>,
  settings: ContextSettings,
): Record<string, unknown> {
  const attributes: Record<string, unknown> = { ...outer };
  if (given === undefined || given === null) return attributes;
  if (typeof given !== 'object' || Array.isArray(given)) {
    settings.report(wrongField('context', given), 'withContext');
    return attributes;
  }
  for (const key of Object.keys(given)) {
    try {
      const value = (given as Record<string, unknown>)[key];
      if (value === undefined || value === null) continue;
      if (key === METADATA) addMetadata(attributes, value, settings);
      else if (!Object.hasOwn(ATTRIBUTE_OF, key)) {
        const hint = nearest(key, [...FIELDS, METADATA]);
        settings.report(new RiskTrailError('OPTION_UNKNOWN', { field: `withContext.${key}`, hint }), 'withContext');
      } else {
        const name = ATTRIBUTE_OF[key as keyof typeof ATTRIBUTE_OF];
        if (typeof value === 'string' && value !== '') attributes[name] = settings.redactor.attribute(name, value, ID);
        else if (typeof value === 'number' || typeof value === 'bigint') attributes[name] = String(value);
        else settings.report(wrongField(key, value), 'withContext');
      }
    } catch (error) {
      settings.report(error, `withContext.${key}`);
    }
  }
  return attributes;
}

/** Ids are masked by name only. */
const ID = { type: 'string', brief: '' } as const;

function addMetadata(attributes: Record<string, unknown>, value: unknown, settings: ContextSettings): void {
  if (typeof value !== 'object' || Array.isArray(value)) {
    settings.report(wrongField(METADATA, value), 'withContext');
    return;
  }
  const { 'audit.coerced': _changed, ...plain } = coerceAttributes(value);
  const masked = settings.redactor.deep(plain, METADATA) as object;
  attributes[METADATA] = Object.freeze({ ...(attributes[METADATA] as object | undefined), ...masked });
}

function makeBag(attributes: Record<string, unknown>, span: Span | undefined): Bag {
  const frozen = Object.freeze(attributes);
  // Taking a member out of an object costs more than the rest of this, on every piece of work.
  if (attributes[METADATA] === undefined) return { attributes: frozen, forSpans: frozen as Attributes, span };
  const { [METADATA]: _map, ...forSpans } = attributes;
  return { attributes: frozen, forSpans: Object.freeze(forSpans) as Attributes, span };
}

/** Name of the span that is opened for an outermost context. */
export const CONTEXT_SPAN_NAME = 'trail.context';

/** The parent that carries our trace id into a provider that makes ids of its own. */
function remoteParent(traceId: string, traceFlags: number): SpanContext {
  return { traceId, spanId: newSpanId(), isRemote: true, traceFlags };
}

interface Opened {
  readonly active: Context;
  readonly span: Span;
}

/** Opens the root span of a context whose work is in no span yet. */
function openRoot(tracer: Tracer, outer: Context, bag: Bag, correlationId: string, settings: ContextSettings): Opened {
  const traceId = traceIdOf(correlationId);
  const before = trace.getSpanContext(outer);
  const options = {
    ...(before === undefined ? {} : { links: [{ context: before }] }),
    ...(settings.clock === undefined ? {} : { startTime: toHrTime(settings.clock.now()) }),
  };
  const root = (before === undefined ? outer : trace.deleteSpan(outer)).setValue(BAG, bag);
  if (!settings.foreign) {
    const span = withNextTraceId(traceId, () => tracer.startSpan(CONTEXT_SPAN_NAME, options, root));
    return { active: root, span };
  }
  const remote = remoteParent(traceId, TraceFlags.SAMPLED);
  const parent = trace.setSpanContext(root, remote);
  const span = tracer.startSpan(CONTEXT_SPAN_NAME, options, parent);
  if (span.spanContext().spanId !== remote.spanId) return { active: parent, span };
  // Nobody traces: the same span came back. The events keep the trace id and say that there is no span.
  return { active: parent, span: trace.wrapSpanContext({ ...remote, traceFlags: TraceFlags.NONE }) };
}

function prepare(tracer: Tracer, given: TrailContext): { active: Context; span: Span | undefined } {
  const settings = settingsOf.get(tracer) ?? UNBOUND;
  const outer = context.active();
  const outerBag = bagOf(outer);
  const attributes = readFields(given, outerBag?.attributes ?? EMPTY, settings);
  const active = trace.getSpan(outer);
  // A span that we opened for an outer context is nobody's work: another correlation id in it begins a trace of its own.
  const own = active !== undefined && active === outerBag?.span;
  const correlationId = attributes['correlation.id'] as string | undefined;
  const same = correlationId !== undefined && correlationId === outerBag?.attributes['correlation.id'];
  if (active !== undefined && (!own || same)) {
    const bag = makeBag(attributes, own ? active : undefined);
    return { active: outer.setValue(BAG, bag), span: undefined };
  }
  const id = correlationId ?? newCorrelationId();
  attributes['correlation.id'] = id;
  const bag = makeBag(attributes, undefined);
  const opened = openRoot(tracer, outer, bag, id, settings);
  bag.span = opened.span;
  return { active: trace.setSpan(opened.active, opened.span), span: opened.span };
}

/**
 * Runs `fn` with the context on every event and span within; asynchronous work that it begins keeps the context.
 *
 * - Where no span is active one is opened, a true root whose trace id comes from the correlation id (given, inherited, or
 *   made), and ended when `fn` returns or its promise settles. With a foreign tracer provider a remote parent carries the id.
 * - Where a span is active (an inbound `traceparent`, a caller's span) its trace is kept; `correlation.id` is an attribute.
 * - Within a context whose span we opened ourselves, another correlation id opens a root of its own, linked to the outer.
 *
 * What `fn` returns or throws passes through. Nothing else is ever thrown: wrong fields are reported and left out.
 */
export function runWithContext<T>(tracer: Tracer, trailContext: TrailContext, fn: () => T): T {
  let prepared: { active: Context; span: Span | undefined };
  try {
    prepared = prepare(tracer, trailContext);
  } catch (error) {
    settingsOf.get(tracer)?.report(error, 'withContext');
    return fn();
  }
  const { active, span } = prepared;
  return span === undefined ? context.with(active, fn) : runToEnd(active, span, fn, tracer);
}

function runToEnd<T>(active: Context, span: Span, fn: () => T, tracer: Tracer): T {
  const settings = settingsOf.get(tracer);
  return settle(
    () => context.with(active, fn),
    (failed, reason) => {
      try {
        if (failed) span.setStatus({ code: SpanStatusCode.ERROR, message: messageOf(reason) });
        span.end(settings?.clock === undefined ? undefined : toHrTime(settings.clock.now()));
      } catch (error) {
        settings?.report(error, 'withContext');
      }
    },
  );
}

function messageOf(reason: unknown): string {
  try {
    return reason instanceof Error ? reason.message : String(reason);
  } catch {
    return 'unprintable';
  }
}

/**
 * Runs `fn` and tells when its work is over: at its return or throw, or when the promise that it returned settles.
 *
 * A plain promise is handed on as one that settles alike, so that a rejection which nobody handles stays unhandled. A
 * promise of a class of its own, or with properties of its own, is handed on itself. A thenable that is no promise counts
 * as a plain value: many (query builders) begin their work at `then`, and would do it twice.
 * @param done must not throw
 */
export function settle<T>(fn: () => T, done: (failed: boolean, reason: unknown) => void): T {
  let result: T;
  try {
    result = fn();
  } catch (error) {
    done(true, error);
    throw error;
  }
  if (!isPromise(result)) {
    done(false, undefined);
    return result;
  }
  const promise = result as unknown as Promise<unknown>;
  const settled = Promise.prototype.then.call(
    promise,
    (value) => {
      done(false, undefined);
      return value;
    },
    (error) => {
      done(true, error);
      throw error;
    },
  );
  if (Object.getPrototypeOf(promise) === Promise.prototype && Reflect.ownKeys(promise).length === 0) {
    return settled as T;
  }
  Promise.prototype.then.call(settled, undefined, () => {});
  return result;
}
