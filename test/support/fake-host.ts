/** A trail for tests of the instrumented risk layers: manual clock, collected events, a real gate. */
import type { Attributes } from '@opentelemetry/api';
import { ATTRIBUTES, COMMON_ATTRIBUTES } from '../../src/catalog/attributes.ts';
import type { AttributeDefinition, EventDefinition } from '../../src/catalog/define.ts';
import { type CatalogEvent, EVENTS } from '../../src/catalog/events.ts';
import { createManualClock, type ManualClock } from '../../src/core/clock.ts';
import type { TradingStateState } from '../../src/risk/trading-state.ts';
import type { LayerHost } from '../../src/runtime/layer-host.ts';
import { createTradingGate } from '../../src/runtime/trading-gate.ts';

export interface RecordedEvent {
  readonly recordId: string;
  readonly name: CatalogEvent['name'];
  // biome-ignore lint/suspicious/noExplicitAny: tests read attributes of any event
  readonly attributes: Readonly<Record<string, any>>;
  /** Clock's reading when it was emitted. */
  readonly atMs: number;
  /** Names of the spans around it, outermost first. */
  readonly spans: readonly string[];
}

export interface FakeHost extends LayerHost {
  readonly clock: ManualClock;
  readonly events: RecordedEvent[];
  readonly spans: { readonly name: string; readonly attributes: Attributes }[];
  /** What was reported, oldest first. */
  readonly reports: { readonly error: unknown; readonly where: string }[];
  /** What the catalogue says against the events so far; a test of a layer expects it to be empty. */
  readonly invalid: string[];
  /** Maps that a record would not hold as they are, for a null, undefined or NaN within. */
  readonly coerced: string[];
  /** Events of one name, oldest first. */
  named(name: CatalogEvent['name']): RecordedEvent[];
  /** Names of all events so far. */
  names(): string[];
  /** What a periodic snapshot would record now; recorded too. */
  takeSnapshots(): RecordedEvent[];
  /** Makes the next `emit`s throw (which the real one never does), to see that a layer bears it. */
  breakEmit(broken: boolean): void;
}

/** 2024-01-02T14:30:00Z: the New York open of a trading day. */
export const START_MS = Date.UTC(2024, 0, 2, 14, 30);

export function createFakeHost(
  options: {
    startMs?: number;
    recordInputs?: 'changes' | 'all';
    clock?: ManualClock;
    /** In front of the number of each record's id. @default 'rec' */
    recordPrefix?: string;
    /** Demands that the gate goes on from. */
    tradingState?: TradingStateState | undefined;
  } = {},
): FakeHost {
  const clock = options.clock ?? createManualClock(options.startMs ?? START_MS);
  const events: RecordedEvent[] = [];
  const open: string[] = [];
  const takers = new Set<() => readonly CatalogEvent[]>();
  let broken = false;
  let count = 0;
  const base = {
    clock,
    recordInputs: options.recordInputs ?? 'changes',
    events,
    spans: [] as FakeHost['spans'],
    reports: [] as FakeHost['reports'],
    invalid: [] as string[],
    coerced: [] as string[],
    emit(event: CatalogEvent): string {
      if (broken) throw new Error('emit is broken');
      count += 1;
      const recordId = `${options.recordPrefix ?? 'rec'}-${String(count).padStart(6, '0')}`;
      const attributes = event.attributes as Readonly<Record<string, unknown>>;
      base.invalid.push(...problemsOf(event.name, attributes));
      for (const [key, value] of Object.entries(attributes)) {
        if (typeof value === 'object' && !survives(value)) base.coerced.push(`${event.name}: ${key}`);
      }
      // Deep copy: what was recorded does not change with the layer's state.
      const copy = JSON.parse(JSON.stringify(attributes)) as Record<string, unknown>;
      events.push({ recordId, name: event.name, attributes: copy, atMs: clock.now(), spans: [...open] });
      return recordId;
    },
    span<T>(name: string, attributes: Attributes, fn: () => T): T {
      base.spans.push({ name, attributes });
      open.push(name);
      try {
        return fn();
      } finally {
        open.pop();
      }
    },
    report: (error: unknown, where: string) => void base.reports.push({ error, where }),
    onSnapshot(take: () => readonly CatalogEvent[]) {
      takers.add(take);
      return { dispose: () => void takers.delete(take) };
    },
    named: (name: CatalogEvent['name']) => events.filter((event) => event.name === name),
    names: () => events.map((event) => event.name),
    takeSnapshots() {
      const first = events.length;
      for (const take of takers) for (const event of take()) base.emit(event);
      return events.slice(first);
    },
    breakEmit: (value: boolean) => {
      broken = value;
    },
  };
  return { ...base, gate: createTradingGate(base, options.tradingState) };
}

/** What the catalogue says against an event: unknown and missing attributes, wrong types and values. */
export function problemsOf(name: string, attributes: Readonly<Record<string, unknown>>): string[] {
  const definition = (EVENTS as Record<string, EventDefinition>)[name];
  if (definition === undefined) return [`${name}: not in the catalogue`];
  const known = new Set<string>([...definition.required, ...definition.optional, ...COMMON_ATTRIBUTES]);
  const problems: string[] = [];
  for (const required of definition.required) {
    if (attributes[required] === undefined) problems.push(`${name}: ${required} is missing`);
  }
  for (const [key, value] of Object.entries(attributes)) {
    if (value === undefined) continue;
    const attribute = (ATTRIBUTES as Record<string, AttributeDefinition>)[key];
    if (!known.has(key) || attribute === undefined) problems.push(`${name}: ${key} does not belong to it`);
    else if (!fits(attribute, value)) problems.push(`${name}: ${key} cannot be ${JSON.stringify(value)}`);
  }
  return problems;
}

function fits(attribute: AttributeDefinition, value: unknown): boolean {
  switch (attribute.type) {
    case 'string':
      return typeof value === 'string' && (attribute.values?.includes(value) ?? true);
    case 'boolean':
      return typeof value === 'boolean';
    case 'number':
      return Number.isFinite(value);
    case 'int':
      return Number.isSafeInteger(value);
    case 'decimal':
      return Number.isFinite(value) || (typeof value === 'string' && Number.isFinite(Number(value)));
    case 'strings':
      return Array.isArray(value) && value.every((one) => typeof one === 'string');
    case 'numbers':
      return Array.isArray(value) && value.every((one) => Number.isFinite(one));
    case 'map':
      return typeof value === 'object' && value !== null && !Array.isArray(value);
  }
}

/** Whether a record holds a map's content as it is: the audit format drops null and undefined, and rewrites NaN. */
function survives(value: unknown): boolean {
  if (typeof value === 'object' && value !== null) return Object.values(value).every(survives);
  return typeof value === 'string' || typeof value === 'boolean' || Number.isFinite(value);
}
