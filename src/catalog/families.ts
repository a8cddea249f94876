/**
 * Families of events: what Loki's index tells records apart by, besides their service. A query that names its family reads
 * that family's records alone, and there are too few of them to make many streams.
 */
import { SEVERITY_NUMBERS } from './define.ts';

/** Log attributes that the Collector makes for Loki, and that `grafana/loki.yaml` makes labels of. */
export const FAMILY_LABEL = 'event_family';
/** `yes` on records of severity WARN and above; the rest have none. */
export const GRAVE_LABEL = 'event_grave';
export const GRAVE_VALUE = 'yes';
export const GRAVE_FROM = SEVERITY_NUMBERS.WARN;

/** Every family of the catalogue's events: the first word of a name, and of risk events the layer. */
export const EVENT_FAMILIES = [
  'account',
  'alert',
  'api',
  'audit',
  'config',
  'enforcement',
  'market',
  'order',
  'performance',
  'position',
  'risk.circuit_breaker',
  'risk.portfolio_limit',
  'risk.trailing_stop',
  'risk',
  'strategy',
  'system',
  'trade',
] as const;
/** Of an event that is none of the catalogue's, and of a log line without a name. */
export const OTHER_FAMILY = 'other';
export type EventFamily = (typeof EVENT_FAMILIES)[number] | typeof OTHER_FAMILY;

/** The family of an event, as the Collector finds it. */
export function eventFamily(name: string): EventFamily {
  // The longer names come first: a layer's events are not those of `risk`.
  return EVENT_FAMILIES.find((family) => name.startsWith(`${family}.`)) ?? OTHER_FAMILY;
}

/** The labels that a record has for Loki besides its service. */
export function familyLabels(name: string, severityNumber: number): Readonly<Record<string, string>> {
  return {
    [FAMILY_LABEL]: eventFamily(name),
    ...(severityNumber >= GRAVE_FROM && { [GRAVE_LABEL]: GRAVE_VALUE }),
  };
}

/** Families of several events, each once, in order. */
export const familiesOf = (events: readonly string[]): readonly EventFamily[] =>
  [...new Set(events.map(eventFamily))].sort();
