/**
 * What an alert rule is: data, so that the same rule runs in the process, as SQL over a trail, and as LogQL in Loki and
 * Grafana, and counts the same everywhere.
 *
 * A rule measures events of the last `windowMs`, a group of them at a time: those after `now − windowMs`, up to and at `now`.
 * Groups are always of one service. Where the measure meets the condition for `forMs` without a break, an alert is raised;
 * it is resolved as soon as the condition is not met.
 */
import type { Severity } from '../catalog/define.ts';

/** What people must do with it. */
export type AlertType = 'INFO' | 'WARNING' | 'CRITICAL';
/** How soon somebody must look. */
export type AlertSeverity = 'IMMEDIATE' | 'HIGH' | 'NORMAL' | 'LOW';

/** A condition on one attribute of an event. Equality compares texts, an absent attribute being the empty one. */
export type Predicate =
  | { readonly attribute: string; readonly is: '=' | '!='; readonly value: string | number | boolean }
  | { readonly attribute: string; readonly is: 'in'; readonly values: readonly string[] }
  /** An absent attribute, or one that is no number, meets none of these. */
  | { readonly attribute: string; readonly is: '>' | '>=' | '<' | '<='; readonly value: number };

/** Which events: all conditions are met. */
export interface EventSelector {
  /** Their names; absent: any event, but those of alerts. */
  readonly events?: readonly string[];
  /** Of this severity or a graver one. */
  readonly minSeverity?: Severity;
  readonly where?: readonly Predicate[];
}

/** Events of any of the selectors. */
export type EventSet = readonly EventSelector[];

/** The number that is read from an event; an event without it counts for nothing. */
export interface EventValue {
  readonly attribute: string;
  /** Divided by this attribute of the same event, where that isn't 0. */
  readonly per?: string;
}

/** An attribute that tells groups apart. */
export interface GroupAttribute {
  readonly attribute: string;
  /** Stands for it where an event has none. @default '' */
  readonly or?: string;
}

/** What is measured. A group of which nothing is in the window has no value. */
export type Measure =
  /** How many events. */
  | { readonly kind: 'count'; readonly of: EventSet }
  /** How many events for each `perMs` of the window. */
  | { readonly kind: 'rate'; readonly of: EventSet; readonly perMs: number }
  /** An aggregate of a number; a quantile interpolates linearly between the two nearest values. */
  | { readonly kind: 'sum' | 'mean' | 'min' | 'max'; readonly of: EventSet; readonly value: EventValue }
  | { readonly kind: 'quantile'; readonly quantile: number; readonly of: EventSet; readonly value: EventValue }
  /** The number of the newest event: a state. */
  | { readonly kind: 'last'; readonly of: EventSet; readonly value: EventValue }
  /** How far a running count rose: the newest number less the smallest. A restart of the count is no rise. */
  | { readonly kind: 'rise'; readonly of: EventSet; readonly value: EventValue }
  /** The share of `of` within `among`; no value where `among` has fewer than `atLeast` events. */
  | { readonly kind: 'ratio'; readonly of: EventSet; readonly among: EventSet; readonly atLeast: number }
  /**
   * 1 where the group was seen in the last `lookbackMs` but not in the window, and has not been ended in order since; no
   * value otherwise.
   */
  | { readonly kind: 'absence'; readonly of: EventSet; readonly lookbackMs: number; readonly endedBy: EventSet };

/** When the measure is worth an alert. */
export type Condition =
  | { readonly is: '>' | '>=' | '<' | '<='; readonly threshold: number }
  | { readonly is: 'in'; readonly values: readonly number[] };

/** How values are written. */
export type ValueUnit = 'count' | 'ratio' | 'percent' | 'ms' | 's' | 'bytes' | 'state';

/** One rule. */
export interface AlertRule {
  /** In snake_case; unique. */
  readonly id: string;
  /** Summary. `{name}` is replaced: see `docs/alerts.md`. */
  readonly title: string;
  /** Description, with the values. */
  readonly description: string;
  readonly type: AlertType;
  readonly severity: AlertSeverity;
  readonly measure: Measure;
  readonly windowMs: number;
  readonly groupBy: readonly GroupAttribute[];
  readonly condition: Condition;
  /** How long the condition must hold without a break. */
  readonly forMs: number;
  readonly unit: ValueUnit;
  /** Alerts of one topic are told together. */
  readonly topic: string;
  /** No alert of this rule is raised while one of these rules is firing for the same service. */
  readonly silencedBy: readonly string[];
  /** Name of the page below `docs/runbooks/`, without its ending. */
  readonly runbook: string;
  /** Name of the dashboard that shows it. */
  readonly dashboard: string;
}

/** An event as rules see it. */
export interface AlertEvent {
  readonly name: string;
  readonly severityNumber: number;
  readonly service: string;
  readonly timeMs: number;
  /** Empty for telemetry. */
  readonly recordId: string;
  readonly attributes: Readonly<Record<string, unknown>>;
}

/** A group's attributes and their values, in the order of the rule. */
export type GroupValues = Readonly<Record<string, string>>;

/** What an alert says, whoever is told of it. */
export interface AlertStatement {
  readonly rule: string;
  readonly type: AlertRule['type'];
  readonly severity: AlertRule['severity'];
  readonly title: string;
  readonly message: string;
  readonly service: string;
  readonly group: GroupValues;
  /** Record ids of the newest events behind it. */
  readonly events: readonly string[];
}
