/** Which events a rule is about, made ready for the hot path. */
import { SEVERITY_NUMBERS } from '../catalog/define.ts';
import type { AlertEvent, EventSelector, EventSet, EventValue, Predicate } from './rule.ts';

type Attributes = AlertEvent['attributes'];

/** Events of this family are about alerts: no rule sees them, or alerts would raise alerts. */
export const ALERT_FAMILY = 'alert.';

/** An attribute as text, as every store of records gives it; '' where it is absent. */
export function textOf(attributes: Attributes, name: string): string {
  const value = attributes[name];
  return value === undefined || value === null ? '' : String(value);
}

/** An attribute as a number; undefined where it is absent or none. */
export function numberOf(attributes: Attributes, name: string): number | undefined {
  const value = attributes[name];
  if (typeof value === 'number') return Number.isFinite(value) ? value : undefined;
  if (typeof value !== 'string' || value.trim() === '') return undefined;
  const number = Number(value);
  return Number.isFinite(number) ? number : undefined;
}

/** The number that a measure reads from an event. */
export function measuredValue(attributes: Attributes, { attribute, per }: EventValue): number | undefined {
  const value = numberOf(attributes, attribute);
  if (value === undefined || per === undefined) return value;
  const divisor = numberOf(attributes, per);
  return divisor === undefined || divisor === 0 ? undefined : value / divisor;
}

function meets(attributes: Attributes, predicate: Predicate): boolean {
  const { attribute } = predicate;
  switch (predicate.is) {
    case 'in':
      return predicate.values.includes(textOf(attributes, attribute));
    case '=':
      return textOf(attributes, attribute) === String(predicate.value);
    case '!=':
      return textOf(attributes, attribute) !== String(predicate.value);
    default: {
      const value = numberOf(attributes, attribute);
      return value !== undefined && compare(value, predicate.is, predicate.value);
    }
  }
}

/** Compares two numbers. */
export function compare(a: number, is: '>' | '>=' | '<' | '<=', b: number): boolean {
  switch (is) {
    case '>':
      return a > b;
    case '>=':
      return a >= b;
    case '<':
      return a < b;
    case '<=':
      return a <= b;
  }
}

/** Whether an event is one of a selector's. */
export function isSelected(event: AlertEvent, { events, minSeverity, where }: EventSelector): boolean {
  if (event.name === '' || event.name.startsWith(ALERT_FAMILY)) return false;
  if (events !== undefined && !events.includes(event.name)) return false;
  if (minSeverity !== undefined && event.severityNumber < SEVERITY_NUMBERS[minSeverity]) return false;
  return where === undefined || where.every((predicate) => meets(event.attributes, predicate));
}

/** Whether an event is one of a set's. */
export function isOneOf(event: AlertEvent, set: EventSet): boolean {
  for (let i = 0; i < set.length; i++) if (isSelected(event, set[i]!)) return true;
  return false;
}

/** Finds what may be about an event of a name, without looking at each rule. */
export class NameIndex<T> {
  readonly #byName = new Map<string, readonly T[]>();
  readonly #ofAny: readonly { readonly item: T; readonly least: number }[];
  /** The least severity that any item without names asks for. */
  readonly leastSeverity: number;

  /** @param entries items with the sets of events that they are about */
  constructor(entries: readonly { readonly item: T; readonly sets: readonly EventSet[] }[]) {
    const byName = new Map<string, Set<T>>();
    const any: { item: T; least: number }[] = [];
    for (const { item, sets } of entries) {
      for (const { events, minSeverity } of sets.flat()) {
        if (events === undefined)
          any.push({ item, least: minSeverity === undefined ? 0 : SEVERITY_NUMBERS[minSeverity] });
        else for (const name of events) byName.set(name, (byName.get(name) ?? new Set()).add(item));
      }
    }
    for (const [name, items] of byName) this.#byName.set(name, [...items]);
    this.#ofAny = any;
    this.leastSeverity = Math.min(Number.POSITIVE_INFINITY, ...any.map(({ least }) => least));
  }

  /** Items that are about events of this name. */
  named(name: string): readonly T[] | undefined {
    return this.#byName.get(name);
  }

  /** Items that are about any event of this severity, but for those that are about the name already. */
  ofSeverity(severityNumber: number, named: readonly T[] | undefined): readonly T[] {
    const items = this.#ofAny.filter(({ least }) => severityNumber >= least).map(({ item }) => item);
    return [...new Set(named === undefined ? items : items.filter((item) => !named.includes(item)))];
  }
}
