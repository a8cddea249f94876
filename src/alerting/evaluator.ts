/**
 * Runs alert rules over a stream of events: no query, no store but what the windows need. Time comes with the events and with
 * {@link AlertEvaluator.advance}; between two calls everything that is due happens at the very time at which it is due.
 */
import { DueHeap } from './due-heap.ts';
import { isOneOf, NameIndex, textOf } from './match.ts';
import type { AlertEvent, AlertRule, EventSet, GroupValues } from './rule.ts';
import { groupOf, meetsCondition, Series, seriesKey } from './series.ts';

/** An alert of one group of a rule, from its raising to its end. */
export interface AlertEpisode {
  readonly rule: AlertRule;
  readonly service: string;
  readonly group: GroupValues;
  /** The same for every episode of that group of the rule. */
  readonly key: string;
}

/** An alert is raised or resolved. */
export interface AlertTransition extends AlertEpisode {
  readonly kind: 'raised' | 'resolved';
  readonly timeMs: number;
  /** Since when the condition held. */
  readonly sinceMs: number;
  /** The measure at that time; undefined where there is none any more. */
  readonly value: number | undefined;
  /** Record ids of the newest events behind it, at most ten. */
  readonly events: readonly string[];
}

/** The measure of one group of a rule. */
export interface Measured extends AlertEpisode {
  readonly value: number;
}

/** Bounds of the memory. */
export interface EvaluatorBounds {
  /** Samples of one group: beyond them the oldest go, and counts stand at this number. @default 10_000 */
  readonly maxSamples?: number;
  /** Groups of one rule: beyond them a quiet one gives way. @default 1_000 */
  readonly maxGroups?: number;
}

const NONE: readonly AlertTransition[] = Object.freeze([]);
const DEFAULT_MAX_SAMPLES = 10_000;
const DEFAULT_MAX_GROUPS = 1000;

/** A rule with its groups. */
interface RuleState {
  readonly rule: AlertRule;
  readonly order: number;
  /** By {@link placeOf}. */
  readonly groups: Map<string, Series>;
  /** Whatever the rule looks at. */
  readonly set: EventSet;
}

function setsOf({ measure }: AlertRule): readonly EventSet[] {
  if (measure.kind === 'ratio') return [measure.among];
  return measure.kind === 'absence' ? [measure.of, measure.endedBy] : [measure.of];
}

export class AlertEvaluator {
  readonly #rules: readonly RuleState[];
  readonly #index: NameIndex<RuleState>;
  readonly #due = new DueHeap<Series>();
  readonly #silenced = new Set<Series>();
  readonly #maxSamples: number;
  readonly #maxGroups: number;
  readonly #orders = new Map<AlertRule, number>();
  #now = Number.NEGATIVE_INFINITY;
  #transitions: AlertTransition[] = [];
  #ignoredGroups = 0;

  /** @param rules valid ones, as `readRules` gives them */
  constructor(rules: readonly AlertRule[], bounds: EvaluatorBounds = {}) {
    this.#maxSamples = bounds.maxSamples ?? DEFAULT_MAX_SAMPLES;
    this.#maxGroups = bounds.maxGroups ?? DEFAULT_MAX_GROUPS;
    // Of what happens at one time, what silences comes before what is silenced.
    const ordered = rules.toSorted((a, b) => a.silencedBy.length - b.silencedBy.length);
    this.#rules = ordered.map((rule, order) => ({ rule, order, groups: new Map(), set: setsOf(rule).flat() }));
    for (const { rule, order } of this.#rules) this.#orders.set(rule, order);
    this.#index = new NameIndex(this.#rules.map((item) => ({ item, sets: [item.set] })));
  }

  /** When something happens by time alone, epoch milliseconds; infinity: never. */
  get dueMs(): number {
    return this.#due.earliest;
  }

  /** Events that were left out because a rule had too many groups that are not quiet. */
  get ignoredGroups(): number {
    return this.#ignoredGroups;
  }

  /** Whether any rule may be about an event of this name and severity. */
  concerns(name: string, severityNumber: number): boolean {
    return severityNumber >= this.#index.leastSeverity || this.#index.named(name) !== undefined;
  }

  /**
   * Takes an event.
   * @param nowMs epoch milliseconds; time never goes back: an earlier one counts as the latest that was told
   * @returns what came of it, and of the time that went by
   */
  observe(event: AlertEvent, nowMs: number): readonly AlertTransition[] {
    if (this.#due.earliest <= nowMs) this.#runTo(nowMs);
    else if (nowMs > this.#now) this.#now = nowMs;
    const named = this.#index.named(event.name);
    if (named !== undefined) for (let i = 0; i < named.length; i++) this.#take(named[i]!, event);
    if (event.severityNumber >= this.#index.leastSeverity) {
      for (const state of this.#index.ofSeverity(event.severityNumber, named)) this.#take(state, event);
    }
    return this.#told();
  }

  /** Lets time go on to `nowMs`. @returns what came of it */
  advance(nowMs: number): readonly AlertTransition[] {
    this.#runTo(nowMs);
    return this.#told();
  }

  /** The measures as of the time that was told last. */
  measures(): readonly Measured[] {
    return this.#rules.flatMap(({ groups }) =>
      [...groups.values()].flatMap((series) => {
        const value = series.value(this.#now);
        return value === undefined ? [] : [{ ...episodeOf(series), value }];
      }),
    );
  }

  /** What is raised and not resolved. */
  open(): readonly AlertEpisode[] {
    return this.#rules.flatMap(({ groups }) =>
      [...groups.values()].filter(({ state }) => state === 'firing').map(episodeOf),
    );
  }

  /** A person ended the alert: it is not resolved any more, and not raised again before its condition has not held. */
  close(key: string): boolean {
    for (const { groups } of this.#rules) {
      for (const series of groups.values()) {
        if (series.key !== key || series.state !== 'firing') continue;
        series.state = 'closed';
        return true;
      }
    }
    return false;
  }

  /**
   * Goes on with an alert of before a restart: it is not raised again, and stands at least until the rule's window has gone
   * by, as what was seen before is not known any more.
   * @param state `firing`, or `closed` where a person ended it
   * @returns whether there is such a rule
   */
  restore(ruleId: string, service: string, group: GroupValues, state: 'firing' | 'closed', nowMs: number): boolean {
    const of = this.#rules.find(({ rule }) => rule.id === ruleId);
    if (of === undefined) return false;
    const { rule } = of;
    const values = Object.fromEntries(
      rule.groupBy.map(({ attribute, or }) => [attribute, group[attribute] ?? or ?? ''] as const),
    );
    const place = placeFor(service, Object.values(values));
    const series = of.groups.get(place) ?? this.#addSeries(of, place, service, values);
    if (series === undefined) return false;
    if (nowMs > this.#now) this.#now = nowMs;
    series.state = state;
    series.sinceMs = nowMs;
    series.heldUntilMs = nowMs + rule.windowMs;
    this.#due.schedule(series, series.nextDueMs(this.#now));
    return true;
  }

  #told(): readonly AlertTransition[] {
    if (this.#transitions.length === 0) return NONE;
    const told = this.#transitions;
    this.#transitions = [];
    return told;
  }

  #runTo(nowMs: number): void {
    while (this.#due.earliest <= nowMs) {
      const at = this.#due.earliest;
      if (at > this.#now) this.#now = at;
      const together: Series[] = [];
      for (let series = this.#due.peek(); series !== undefined && series.dueMs <= at; series = this.#due.peek()) {
        together.push(series);
        this.#due.schedule(series, Number.POSITIVE_INFINITY);
      }
      if (together.length > 1) together.sort((a, b) => this.#orderOf(a) - this.#orderOf(b));
      for (const series of together) this.#evaluate(series);
    }
    if (nowMs > this.#now) this.#now = nowMs;
  }

  #orderOf({ rule }: Series): number {
    return this.#orders.get(rule) ?? 0;
  }

  #take(state: RuleState, event: AlertEvent): void {
    if (!isOneOf(event, state.set)) return;
    const place = placeOf(state.rule, event);
    const series = state.groups.get(place) ?? this.#addSeries(state, place, event.service, groupOf(state.rule, event));
    if (series === undefined) return;
    // What was told late belongs to its own time; what comes from the future, to now.
    if (series.add(event, Math.min(event.timeMs, this.#now))) this.#evaluate(series);
    else if (series.isEmpty(this.#now)) state.groups.delete(place);
  }

  #addSeries(state: RuleState, place: string, service: string, group: GroupValues): Series | undefined {
    const { rule, groups } = state;
    if (groups.size >= this.#maxGroups && !this.#makeRoom(state)) {
      this.#ignoredGroups++;
      return undefined;
    }
    const series = new Series(rule, service, group, seriesKey(rule.id, service, group), this.#maxSamples);
    groups.set(place, series);
    return series;
  }

  /** Forgets the group that is quiet for the longest time. */
  #makeRoom({ groups }: RuleState): boolean {
    for (const [place, series] of groups) {
      if (series.state !== 'quiet') continue;
      this.#due.schedule(series, Number.POSITIVE_INFINITY);
      return groups.delete(place);
    }
    return false;
  }

  #evaluate(series: Series): void {
    const { rule } = series;
    const now = this.#now;
    const value = series.value(now);
    const holds = value !== undefined && meetsCondition(rule.condition, value);
    if (holds) this.#hold(series, value);
    else if (series.heldUntilMs <= now) this.#end(series, value);
    if (series.isEmpty(now)) {
      this.#groupsOf(rule)?.delete(placeFor(series.service, Object.values(series.group)));
      this.#due.schedule(series, Number.POSITIVE_INFINITY);
    } else this.#due.schedule(series, series.nextDueMs(now));
  }

  #groupsOf(rule: AlertRule): Map<string, Series> | undefined {
    return this.#rules[this.#orders.get(rule) ?? -1]?.groups;
  }

  #hold(series: Series, value: number): void {
    const { rule, service } = series;
    if (series.state === 'quiet') {
      series.state = 'pending';
      series.sinceMs = this.#now;
    }
    if (series.state === 'firing' || series.state === 'closed' || this.#now < series.sinceMs + rule.forMs) return;
    if (rule.silencedBy.some((id) => this.#isFiring(id, service))) {
      series.state = 'silenced';
      this.#silenced.add(series);
      return;
    }
    this.#silenced.delete(series);
    series.state = 'firing';
    this.#tell('raised', series, value);
  }

  #end(series: Series, value: number | undefined): void {
    const { state } = series;
    if (state === 'quiet') return;
    series.state = 'quiet';
    this.#silenced.delete(series);
    if (state === 'firing') this.#tell('resolved', series, value);
    if (state !== 'firing' && state !== 'closed') return;
    for (const other of [...this.#silenced]) {
      if (other.service === series.service && other.rule.silencedBy.includes(series.rule.id)) this.#evaluate(other);
    }
  }

  #isFiring(ruleId: string, service: string): boolean {
    const of = this.#rules.find(({ rule }) => rule.id === ruleId);
    if (of === undefined) return false;
    for (const series of of.groups.values()) {
      if (series.service === service && (series.state === 'firing' || series.state === 'closed')) return true;
    }
    return false;
  }

  #tell(kind: AlertTransition['kind'], series: Series, value: number | undefined): void {
    const { sinceMs } = series;
    this.#transitions.push({
      ...episodeOf(series),
      kind,
      timeMs: this.#now,
      sinceMs,
      value,
      events: series.idsAt(this.#now),
    });
  }
}

/** What tells an event's group from others of its rule: put together quickly, as each matching event needs it. */
function placeOf({ groupBy }: AlertRule, event: AlertEvent): string {
  let place = event.service;
  for (let i = 0; i < groupBy.length; i++) {
    const { attribute, or } = groupBy[i]!;
    place += SEPARATOR + (textOf(event.attributes, attribute) || (or ?? ''));
  }
  return place;
}

const SEPARATOR = '\u0000';
const placeFor = (service: string, values: readonly string[]): string => [service, ...values].join(SEPARATOR);

function episodeOf({ rule, service, group, key }: Series): AlertEpisode {
  return { rule, service, group, key };
}
