/** Side by side: what was recorded, and what the same inputs come to under other parameters. */

import type { Changes } from './parameters.ts';
import type { GateChange, Journey, JourneyEnd, Place, RecordedChain, RecordedCheck } from './steps.ts';
import type { ReplayedEnd } from './stops-layer.ts';
import { type Affected, affected, ReplayWorld } from './world.ts';

/** One side's figures. */
export interface ReplayFigures {
  /** Times that a scope became HALTED, and REDUCING from ACTIVE. */
  readonly halts: number;
  readonly reductions: number;
  /** Time that any scope was HALTED, in minutes. */
  readonly halted_minutes: number;
  readonly stops_fired: number;
  readonly orders_denied: number;
  readonly orders_cut: number;
  readonly calls_refused: number;
  /** Positions under a stop that were closed, and those still open at the end. */
  readonly positions_closed: number;
  readonly positions_open: number;
  /**
   * Their result: each closed where its stop fired, or at the last recorded price before its stop was taken away. Neither
   * fees nor the venue's own prices are in it.
   */
  readonly result: number;
}

/**
 * How well a replayed answer is known.
 * - `exact`: it follows from recorded inputs alone
 * - `bound`: inputs that changed nothing then are not in the trail, and might change something now
 * - `conditional`: it stands on inputs that came after the first decision that came out otherwise, and might not have come
 * - `unknown`: nothing recorded says what would have come of it
 */
export type Certainty = 'exact' | 'bound' | 'conditional' | 'unknown';

/** One decision that comes out otherwise. */
export interface ReplayRow {
  readonly time: string;
  readonly kind: 'stop' | 'order' | 'call' | 'halt';
  readonly subject: string;
  readonly recorded: string;
  readonly replayed: string;
  readonly known: Certainty;
  readonly why: string;
  readonly record_id: string;
  /** Of a position's end: its result on both sides; null where there is none. */
  readonly recorded_result: number | null;
  readonly replayed_result: number | null;
}

/** A replay beside its recording. */
export interface ReplayComparison {
  readonly recorded: ReplayFigures;
  readonly replayed: ReplayFigures;
  /** What the service recorded as realised with its trades: for orientation, it has no counterpart. */
  readonly realised: number;
  /** Decisions that come out otherwise, by time. */
  readonly rows: readonly ReplayRow[];
  /** What cannot be known of the replayed side: orders that might now be filled, ends of positions. */
  readonly unknown: number;
  readonly first_difference: string | null;
  readonly notes: readonly string[];
}

interface Outcome {
  readonly gate: readonly GateChange[];
  readonly checks: readonly CheckOutcome[];
  readonly calls: readonly CallOutcome[];
  readonly world: ReplayWorld;
  readonly which: Affected;
}

interface CheckOutcome {
  readonly place: Place;
  readonly set: string;
  readonly recorded: RecordedCheck;
  readonly replayed: RecordedCheck;
  readonly bound: boolean;
}

interface CallOutcome {
  readonly place: Place;
  readonly breaker: string;
  readonly recorded: boolean;
  readonly replayed: boolean;
  readonly code: string;
}

function runChain(chain: RecordedChain, changes: Changes): Outcome {
  const which = affected(chain, changes);
  const gate: GateChange[] = [];
  const checks: CheckOutcome[] = [];
  const calls: CallOutcome[] = [];
  let made = 0;
  const world = new ReplayWorld({
    chain,
    changes,
    emit: () => `replayed-${++made}`,
    watch: {
      gate: ({ scope, old, new: now, source, reason }, { timeMs }) =>
        gate.push({ timeMs, scope, old, new: now, source, reason }),
      check: (place, set, recorded, replayed, bound) => checks.push({ place, set, recorded, replayed, bound }),
      call: (place, breaker, recorded, replayed, code) => calls.push({ place, breaker, recorded, replayed, code }),
    },
  });
  world.run(which);
  return { gate: which.others ? gate : chain.gateChanges, checks, calls, world, which };
}

/** Result of a position at recorded prices; undefined where something of it is not known, or it is open. */
function resultOf(end: JourneyEnd, share = 1): number | undefined {
  if (end.end === 'open' || end.price === undefined || end.quantity === undefined) return undefined;
  const points = end.side === 'long' ? end.price - end.entryPrice : end.entryPrice - end.price;
  return points * end.quantity * share;
}

interface Ending {
  readonly journey: Journey;
  readonly recorded: JourneyEnd;
  /** Absent where the position was never opened. */
  readonly replayed: ReplayedEnd | undefined;
  readonly share: number;
}

function endingsOf(chain: RecordedChain, { world, which }: Outcome): readonly Ending[] {
  return chain.journeys.map((journey) => {
    const { recorded, key, set, link } = journey;
    const share = link === undefined ? 1 : (world.shares.get(link) ?? 1);
    if (world.notEntered.has(key)) return { journey, recorded, replayed: undefined, share };
    const end: ReplayedEnd | undefined = which.stops ? world.stops.get(set)?.ends.get(key) : recorded;
    const refused = link !== undefined && world.exitRefused.has(link);
    const replayed: ReplayedEnd = end ?? { ...recorded, end: 'open' };
    return {
      ...{ journey, recorded, share },
      replayed: refused ? { ...replayed, unknown: 'the order that closed it would have been refused' } : replayed,
    };
  });
}

/** What a replay changes of the chains. */
export function compareChains(chains: readonly RecordedChain[], changes: Changes): ReplayComparison {
  const recorded = new Figures();
  const replayed = new Figures();
  const rows: ReplayRow[] = [];
  const notes = new Set<string>();
  let unknown = 0;
  let first: number | undefined;
  for (const chain of chains) {
    const outcome = runChain(chain, changes);
    const found = new Rows(chain);
    const endings = endingsOf(chain, outcome);
    for (const ending of endings) found.ending(ending);
    for (const check of outcome.checks) found.check(check);
    for (const call of outcome.calls) found.call(call);
    found.halts(chain.gateChanges, outcome.gate);
    rows.push(...found.settled());
    unknown += found.unknown;
    if (found.firstMs !== undefined) first = Math.min(first ?? found.firstMs, found.firstMs);
    recorded.gate(chain.gateChanges, chain.lastMs);
    replayed.gate(outcome.gate, chain.lastMs);
    for (const ending of endings) {
      recorded.ending(ending.recorded, 1);
      if (ending.replayed !== undefined && ending.replayed.unknown === undefined) {
        replayed.ending(ending.replayed, ending.share);
      }
    }
    countOrders(chain, outcome, recorded, replayed);
    noteDoubts(chain, changes, outcome, found, notes);
  }
  rows.sort((a, b) => (a.time < b.time ? -1 : a.time > b.time ? 1 : 0));
  return {
    recorded: recorded.done(),
    replayed: replayed.done(),
    realised: chains.reduce((sum, chain) => sum + chain.realised, 0),
    rows,
    unknown,
    first_difference: first === undefined ? null : new Date(first).toISOString(),
    notes: [...notes],
  };
}

/** Figures alone, for a sweep. */
export interface SweepFigures extends ReplayFigures {
  readonly differences: number;
  readonly unknown: number;
  readonly first_difference: string | null;
}

export function figuresOf({ replayed, rows, unknown, first_difference }: ReplayComparison): SweepFigures {
  return { ...replayed, differences: rows.length, unknown, first_difference };
}

interface OrderCounts {
  denied: number;
  cut: number;
  calls: number;
}

const recordedCounts = new WeakMap<RecordedChain, OrderCounts>();

/** Orders and calls that were refused, counted once for all settings of a sweep. */
function countsOf(chain: RecordedChain): OrderCounts {
  const known = recordedCounts.get(chain);
  if (known !== undefined) return known;
  const counts: OrderCounts = { denied: 0, cut: 0, calls: 0 };
  for (const step of chain.steps) {
    if (step.kind === 'check' || step.kind === 'told_check') countOrder(counts, step.recorded, step.recorded);
    else if (step.kind === 'breaker' && step.permitted === false) counts.calls++;
  }
  recordedCounts.set(chain, counts);
  return counts;
}

function countOrder(counts: OrderCounts, { decision }: RecordedCheck, { observed }: RecordedCheck): void {
  if (observed === true) return;
  if (decision === 'deny') counts.denied++;
  if (decision === 'cap') counts.cut++;
}

function countOrders(chain: RecordedChain, outcome: Outcome, recorded: Figures, replayed: Figures): void {
  const counts = countsOf(chain);
  recorded.orders(counts);
  if (!outcome.which.others) {
    replayed.orders(counts);
    return;
  }
  const own: OrderCounts = { denied: 0, cut: 0, calls: outcome.calls.filter((call) => !call.replayed).length };
  for (const check of outcome.checks) countOrder(own, check.replayed, check.recorded);
  replayed.orders(own);
}

function noteDoubts(
  chain: RecordedChain,
  changes: Changes,
  { which, checks }: Outcome,
  found: Rows,
  notes: Set<string>,
): void {
  if (chain.recordInputs === 'changes') {
    notes.add(
      'the trail was recorded with recordInputs changes: prices, calls and portfolios that changed nothing then are not in it, so what comes out otherwise is a bound; record with recordInputs all for exact answers',
    );
  }
  if (changes.stops.size > 0 && found.stops > 0) {
    notes.add(
      which.others
        ? 'positions that end elsewhere change equity, the day’s result and later entries: later checks and breakers were given what was recorded'
        : 'positions that end elsewhere change equity, the day’s result and later entries: halts and orders stand as they were recorded',
    );
  }
  if (checks.some(({ bound, recorded, replayed }) => bound && recorded.decision !== replayed.decision)) {
    notes.add('checks without their portfolio in the trail were judged by the numbers that they recorded');
  }
}

class Figures {
  halts = 0;
  reductions = 0;
  haltedMs = 0;
  fired = 0;
  denied = 0;
  cut = 0;
  calls = 0;
  closed = 0;
  open = 0;
  result = 0;

  gate(changes: readonly GateChange[], lastMs: number): void {
    const since = new Map<string, number>();
    for (const { timeMs, scope, old, new: now } of changes) {
      if (now === 'HALTED') this.halts++;
      if (now === 'REDUCING' && old === 'ACTIVE') this.reductions++;
      const before = since.get(scope);
      if (now === 'HALTED' && before === undefined) since.set(scope, timeMs);
      if (now !== 'HALTED' && before !== undefined) {
        this.haltedMs += timeMs - before;
        since.delete(scope);
      }
    }
    for (const from of since.values()) this.haltedMs += lastMs - from;
  }

  ending(end: JourneyEnd, share: number): void {
    if (end.end === 'fired') this.fired++;
    if (end.end === 'open') this.open++;
    else this.closed++;
    this.result += resultOf(end, share) ?? 0;
  }

  orders({ denied, cut, calls }: OrderCounts): void {
    this.denied += denied;
    this.cut += cut;
    this.calls += calls;
  }

  done(): ReplayFigures {
    return {
      halts: this.halts,
      reductions: this.reductions,
      halted_minutes: Math.round(this.haltedMs / 60_000),
      stops_fired: this.fired,
      orders_denied: this.denied,
      orders_cut: this.cut,
      calls_refused: this.calls,
      positions_closed: this.closed,
      positions_open: this.open,
      result: Math.round(this.result * 100) / 100,
    };
  }
}

type Draft = Omit<ReplayRow, 'time' | 'known'> & {
  readonly timeMs: number;
  readonly known: Certainty;
  /** Execution that it is of. */
  readonly link?: string | undefined;
};

const NOT_OPENED = 'not opened';

/** The decisions that come out otherwise. */
class Rows {
  readonly #chain: RecordedChain;
  readonly #rows: Draft[] = [];
  unknown = 0;
  stops = 0;

  constructor(chain: RecordedChain) {
    this.#chain = chain;
  }

  /** When the first decision came out otherwise, epoch milliseconds. */
  get firstMs(): number | undefined {
    return this.#rows.length === 0 ? undefined : this.#rows.reduce((at, { timeMs }) => Math.min(at, timeMs), Infinity);
  }

  /** Decisions after the first other one stand on inputs that might not have come; a stop's own way does not. */
  settled(): readonly ReplayRow[] {
    const first = this.firstMs ?? 0;
    const settle = ({ known, kind, timeMs, replayed }: Draft): Certainty =>
      known === 'exact' && timeMs > first && (kind !== 'stop' || replayed === NOT_OPENED) ? 'conditional' : known;
    const refused = new Map<string, Certainty>();
    for (const row of this.#rows) {
      if ((row.kind === 'order' || row.kind === 'call') && row.link !== undefined) refused.set(row.link, settle(row));
    }
    return this.#rows.map((row) => {
      const { timeMs, link, known: _, ...rest } = row;
      // A position that is not opened is known as well as the refusal that it follows from.
      const follows = row.replayed === NOT_OPENED && link !== undefined ? refused.get(link) : undefined;
      return { ...rest, time: new Date(timeMs).toISOString(), known: follows ?? settle(row) };
    });
  }

  #add(row: Omit<Draft, 'recorded_result' | 'replayed_result'> & Partial<Draft>): void {
    this.#rows.push({ recorded_result: null, replayed_result: null, ...row });
    if (row.known === 'unknown') this.unknown++;
  }

  ending({ journey, recorded, replayed, share }: Ending): void {
    const same =
      replayed !== undefined &&
      replayed.unknown === undefined &&
      share === 1 &&
      replayed.end === recorded.end &&
      replayed.price === recorded.price &&
      (replayed.end === 'open' || replayed.timeMs === recorded.timeMs);
    if (same) return;
    this.stops++;
    const bound = this.#chain.recordInputs === 'changes';
    const timeMs = Math.min(recorded.timeMs ?? Infinity, replayed?.timeMs ?? Infinity);
    const known: Certainty =
      replayed?.unknown !== undefined
        ? 'unknown'
        : replayed === undefined
          ? 'exact'
          : bound
            ? 'bound'
            : replayed.end !== 'open' && resultOf(replayed) === undefined
              ? 'unknown'
              : 'exact';
    this.#add({
      timeMs: Number.isFinite(timeMs) ? timeMs : this.#chain.lastMs,
      kind: 'stop',
      subject: journey.id,
      link: journey.link,
      recorded: endText(recorded),
      replayed:
        replayed === undefined ? NOT_OPENED : `${endText(replayed)}${share < 1 ? `, ${percent(share)} of it` : ''}`,
      known,
      why:
        replayed?.unknown ?? (bound && replayed !== undefined ? 'prices that moved nothing then are not recorded' : ''),
      record_id: journey.key,
      recorded_result: rounded(resultOf(recorded)),
      replayed_result:
        replayed === undefined || replayed.unknown !== undefined ? null : rounded(resultOf(replayed, share)),
    });
  }

  check({ place, set, recorded, replayed, bound }: CheckOutcome): void {
    if (
      recorded.decision === replayed.decision &&
      recorded.quantity === replayed.quantity &&
      recorded.code === replayed.code
    )
      return;
    const more = replayed.quantity > recorded.quantity;
    this.#add({
      timeMs: place.timeMs,
      kind: 'order',
      subject: place.link ?? set,
      link: place.link,
      recorded: checkText(recorded),
      replayed: checkText(replayed),
      known: more ? 'unknown' : bound ? 'bound' : 'exact',
      why: more ? 'the fill never happened' : bound ? 'the portfolio of the check is not recorded' : '',
      record_id: place.recordId,
    });
  }

  call({ place, breaker, recorded, replayed, code }: CallOutcome): void {
    if (recorded === replayed) return;
    this.#add({
      timeMs: place.timeMs,
      kind: 'call',
      link: place.link,
      subject: place.link === undefined ? breaker : `${breaker} ${place.link}`,
      recorded: recorded ? 'let through' : 'refused',
      replayed: replayed ? 'let through' : `refused: ${code}`,
      known: replayed ? 'unknown' : this.#chain.recordInputs === 'changes' ? 'bound' : 'exact',
      why: replayed ? 'the call was never made' : '',
      record_id: place.recordId,
    });
  }

  halts(recorded: readonly GateChange[], replayed: readonly GateChange[]): void {
    if (recorded === replayed) return;
    const bound = this.#chain.recordInputs === 'changes' ? 'bound' : 'exact';
    const left = new Map<string, number>();
    const keyOf = (one: GateChange) => `${one.timeMs} ${one.scope} ${one.old} ${one.new}`;
    for (const one of recorded) left.set(keyOf(one), (left.get(keyOf(one)) ?? 0) + 1);
    const row = (one: GateChange, isRecorded: boolean) => {
      const text = `${one.old} → ${one.new}: ${one.reason}`;
      this.#add({
        timeMs: one.timeMs,
        kind: 'halt',
        subject: one.scope,
        recorded: isRecorded ? text : '-',
        replayed: isRecorded ? '-' : text,
        known: bound,
        why: '',
        record_id: '',
      });
    };
    for (const one of replayed) {
      const count = left.get(keyOf(one)) ?? 0;
      if (count > 0) left.set(keyOf(one), count - 1);
      else row(one, false);
    }
    for (const one of recorded) {
      const count = left.get(keyOf(one)) ?? 0;
      if (count === 0) continue;
      left.set(keyOf(one), count - 1);
      row(one, true);
    }
  }
}

const rounded = (value: number | undefined): number | null =>
  value === undefined ? null : Math.round(value * 100) / 100;
const percent = (share: number): string => `${Math.round(share * 1000) / 10} %`;
const iso = (ms: number): string => new Date(ms).toISOString().slice(0, 16).replace('T', ' ');

function endText(end: JourneyEnd): string {
  if (end.end === 'open') return 'still open';
  const at = end.timeMs === undefined ? '' : ` ${iso(end.timeMs)}`;
  const price = end.price === undefined ? '' : ` at ${end.price}`;
  return end.end === 'fired' ? `fired${at}${price}${end.kind === 'hard' ? ' (hard)' : ''}` : `taken away${at}${price}`;
}

const checkText = ({ decision, quantity, code }: RecordedCheck): string =>
  decision === 'allow' ? 'allowed' : decision === 'cap' ? `cut to ${quantity}: ${code}` : `denied: ${code}`;
