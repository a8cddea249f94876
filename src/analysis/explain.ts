/** Why something happened: the chain of records that led to it, in words, and how far each of them can be trusted. */
import { RiskTrailError } from '../core/errors.ts';
import {
  type CheckedRecord,
  type IdQuestion,
  type Integrity,
  identityOfRecord,
  inOrder,
  type RecordFinder,
  type StateChange,
} from './explain-records.ts';
import { dayOf, isTimeOfDay, untilOf } from './explain-time.ts';
import type { FlatRecord } from './flat-record.ts';

/** What is to be explained: exactly one. */
export interface ExplainTarget {
  /**
   * A point in time, as a timestamp with nine digits of the second; or a time of day (`10:30`, UTC): on the last
   * record's day if trading was halted then, else on the latest day on which a halt began then, or was in force.
   */
  readonly at?: string | undefined;
  /** Record id. */
  readonly event?: string | undefined;
  /** Order id, the venue's or the service's own. */
  readonly order?: string | undefined;
  /** Position, execution or stop id. */
  readonly position?: string | undefined;
}

/** One record of the chain. */
export interface ExplainStep {
  /** `led`: what led there; `cause`: a named cause; `event`: what is explained; `followed`: what came of it. */
  readonly part: 'led' | 'cause' | 'event' | 'followed';
  readonly time: string;
  readonly event: string | null;
  readonly text: string;
  readonly recordId: string | null;
  readonly stream: string | null;
  readonly sequence: number | null;
  readonly traceId: string | null;
  /** `intact`: the record is what was hashed when it was written; `changed`: it is not; `unproven`: it claims no hash. */
  readonly integrity: Integrity;
}

/** An explanation. */
export interface Explanation {
  /** The answer in one or a few sentences. */
  readonly answer: string;
  /** In the order of time. */
  readonly steps: readonly ExplainStep[];
  /** How far the records can be trusted, in words. */
  readonly integrity: string;
}

const STATE_CHANGE = 'risk.trading_state_change';
const BREAKER_CHANGE = 'risk.circuit_breaker.state_change';
/** A cause of a cause of …: no chain of a trail is longer, a forged one may be. */
const MAX_CAUSES = 12;
/** What followed is told up to here, the rest counted. */
const MAX_FOLLOWED = 12;
const MAX_EVIDENCE = 20;

const text = (record: FlatRecord, key: string): string | undefined => {
  const value = record[key];
  return value === undefined || value === null ? undefined : String(value);
};
const clock = (record: FlatRecord): string => `${record.timestamp.slice(0, 10)} ${record.timestamp.slice(11, 19)} UTC`;

/** The records of an explanation: of several copies one stands for all. */
class Chain {
  readonly find: RecordFinder;
  readonly #known = new Map<string, CheckedRecord>();

  constructor(find: RecordFinder) {
    this.find = find;
  }

  take(records: readonly CheckedRecord[]): FlatRecord[] {
    return records.map((one) => {
      const key = identityOfRecord(one.flat);
      if (!this.#known.has(key)) this.#known.set(key, one);
      return this.#known.get(key)!.flat;
    });
  }

  async all(question: IdQuestion): Promise<FlatRecord[]> {
    return this.take(await this.find.find(question));
  }

  async change(change: StateChange): Promise<FlatRecord> {
    return this.take([await this.find.read(change)])[0]!;
  }

  step(part: ExplainStep['part'], flat: FlatRecord, words = flat.body): ExplainStep {
    return {
      part,
      time: flat.timestamp,
      event: flat.event,
      text: words,
      recordId: flat.record_id,
      stream: flat.stream,
      sequence: flat.sequence,
      traceId: flat.trace_id,
      integrity: this.#known.get(identityOfRecord(flat))?.integrity ?? 'unproven',
    };
  }
}

/**
 * Explains a halt, an event, an order or a position.
 * @throws RiskTrailError NOTHING_TO_EXPLAIN, and what the finder throws
 */
export async function explain(find: RecordFinder, target: ExplainTarget): Promise<Omit<Explanation, 'integrity'>> {
  const chain = new Chain(find);
  if (target.at !== undefined) return explainTime(chain, target.at);
  if (target.event !== undefined) {
    const id = target.event;
    const [record] = await chain.all({ recordId: id });
    if (record === undefined) throw new RiskTrailError('NOTHING_TO_EXPLAIN', { what: `the trail has no record ${id}` });
    return explainRecord(chain, record);
  }
  if (target.order !== undefined) return explainOrder(chain, target.order);
  return explainPosition(chain, target.position ?? '');
}

/** What a change of trading state is of: its state holds until the next of the same. */
const scopeIn = (chain: Chain) => {
  const whole = chain.find.key('global');
  return ({ stream, scope }: StateChange): string => `${stream} ${scope ?? whole}`;
};

/** What was not ACTIVE at a point in time, in the order of its beginning. */
function inForceAt(chain: Chain, until: string): readonly StateChange[] {
  const scopes = new Map<string, StateChange>();
  const scopeOf = scopeIn(chain);
  for (const change of chain.find.changes()) if (change.timestamp <= until) scopes.set(scopeOf(change), change);
  return [...scopes.values()].filter(({ state }) => state !== 'ACTIVE').sort(inOrder);
}

async function explainTime(chain: Chain, asked: string): Promise<Omit<Explanation, 'integrity'>> {
  if (isTimeOfDay(asked)) {
    const { at, words } = dayOf(asked, chain.find.changes(), scopeIn(chain), chain.find.lastTime());
    if (at === undefined) return { answer: words, steps: [] };
    const { answer, steps } = await explainTime(chain, at);
    return { answer: `${words} ${answer}`, steps };
  }
  const at = asked;
  const when = `${at.slice(0, 10)} ${at.slice(11, 19)} UTC`;
  const inForce = inForceAt(chain, untilOf(at));
  const halt = inForce.findLast(({ state }) => state === 'HALTED') ?? inForce.at(-1);
  if (halt !== undefined) return explainRecord(chain, await chain.change(halt));
  const halts = chain.find.changes().filter(({ state }) => state !== 'ACTIVE');
  if (halts.length === 0) return { answer: `Nothing halted at ${when}: the trail has no halt at all.`, steps: [] };
  const before = halts.findLast(({ timestamp }) => timestamp <= at);
  const after = halts.find(({ timestamp }) => timestamp > at);
  const nearest: FlatRecord[] = [];
  for (const one of [before, after]) if (one !== undefined) nearest.push(await chain.change(one));
  const told = nearest.map((one) => `${clock(one)} (${one.body})`).join(' and ');
  return {
    answer: `Nothing was halted at ${when}; the nearest ${nearest.length === 1 ? 'halt is' : 'halts are'} ${told}.`,
    steps: nearest.map((one) => chain.step('event', one)),
  };
}

/** The named causes, from the nearest back. */
async function causesOf(chain: Chain, record: FlatRecord): Promise<FlatRecord[]> {
  const causes: FlatRecord[] = [];
  let current = record;
  const seen = new Set([record.record_id]);
  while (causes.length < MAX_CAUSES) {
    const id = text(current, 'risk.cause.record_id');
    if (id === undefined || seen.has(id)) break;
    seen.add(id);
    const [cause] = await chain.all({ recordId: id });
    if (cause === undefined) break;
    causes.push(cause);
    // An end names its beginning as cause: what led to that is another story.
    if (cause.event === current.event) break;
    current = cause;
  }
  return causes;
}

/** What a breaker's opening stands on: the failures, or the closed trades, of its window. */
async function evidenceOf(chain: Chain, change: FlatRecord): Promise<ExplainStep[]> {
  const name = text(change, 'risk.circuit_breaker.name');
  if (
    change.event !== BREAKER_CHANGE ||
    name === undefined ||
    text(change, 'risk.circuit_breaker.state.new') !== 'OPEN'
  )
    return [];
  const failures = Number(change['risk.circuit_breaker.failure_count'] ?? 0);
  if (failures > 0) {
    const most = Math.min(Math.trunc(failures), MAX_EVIDENCE);
    const last = chain.take(await chain.find.lastBefore('failure', change, name, most));
    const traces = new Set(last.map((one) => one.trace_id).filter((id) => id !== null));
    const orders = traces.size === 0 ? [] : await chain.all({ traces: [...traces] });
    return last.map((one) => {
      const order = orders.find((other) => other.trace_id === one.trace_id && inOrder(one, other) <= 0);
      const what = `${text(one, 'error.type') ?? 'failure'}${text(one, 'error.message') === undefined ? '' : `: ${text(one, 'error.message')}`}`;
      return chain.step(
        'led',
        one,
        `failure ${text(one, 'risk.circuit_breaker.failure_count') ?? '?'} of breaker ${name} (${what})${order === undefined ? '' : `, ${order.body}`}`,
      );
    });
  }
  const triggers = change['risk.circuit_breaker.triggers'];
  const trades =
    Array.isArray(triggers) &&
    triggers.some((one) => ['stop_loss_count', 'losing_streak', 'daily_loss'].includes(String(one)));
  if (!trades) return [];
  const needed = Math.trunc(Number(change['risk.circuit_breaker.trigger_value'] ?? 1)) || 1;
  const most = Math.min(Math.max(1, needed), MAX_EVIDENCE);
  const results = chain.take(await chain.find.lastBefore('tradeResult', change, name, most));
  return results.map((one) =>
    chain.step(
      'led',
      one,
      `closed trade${text(one, 'trading.symbol') === undefined ? '' : ` in ${text(one, 'trading.symbol')}`}, result ${text(one, 'trading.pnl') ?? '?'}${one['risk.circuit_breaker.stop_loss'] === true ? ', by its stop' : ''}`,
    ),
  );
}

/** What a halt or an opening brought about until it ended. */
async function consequencesOf(chain: Chain, record: FlatRecord): Promise<{ steps: ExplainStep[]; words: string }> {
  const id = record.record_id;
  const cited = id === null ? { first: [], count: 0 } : await chain.find.citing(id, MAX_FOLLOWED);
  const steps = chain.take(cited.first).map((one) => chain.step('followed', one));
  if (record.event !== STATE_CHANGE)
    return { steps, words: cited.count > MAX_FOLLOWED ? ` ${cited.count} records name it as their cause.` : '' };
  const [stream, scope] = [chain.find.key(record.stream), chain.find.key(text(record, 'risk.scope'))];
  const ending = chain.find
    .changes()
    .find((one) => one.stream === stream && one.scope === scope && one.state === 'ACTIVE' && inOrder(record, one) < 0);
  const end = ending === undefined ? undefined : await chain.change(ending);
  // Those that name it as their cause stand among both.
  const refused = await chain.find.refused(record, end, 2 * MAX_FOLLOWED);
  const told = new Set(steps.map((step) => step.recordId));
  for (const one of chain.take(refused.first))
    if (steps.length < MAX_FOLLOWED && !told.has(one.record_id)) steps.push(chain.step('followed', one));
  if (end !== undefined && !told.has(end.record_id)) steps.push(chain.step('followed', end));
  const count =
    refused.count === 0
      ? 'No entry was refused meanwhile.'
      : `${refused.count} ${refused.count === 1 ? 'request was' : 'requests were'} refused meanwhile.`;
  const ended =
    end === undefined
      ? ' It had not ended when the trail ends.'
      : ` It ended at ${clock(end)} (${text(end, 'risk.reason') ?? end.body}).`;
  return { steps, words: ` ${count}${ended}` };
}

async function explainRecord(chain: Chain, record: FlatRecord): Promise<Omit<Explanation, 'integrity'>> {
  const causes = await causesOf(chain, record);
  const evidence = (await Promise.all([record, ...causes].map((one) => evidenceOf(chain, one)))).flat();
  const { steps: followed, words } = await consequencesOf(chain, record);
  const own = chain.step('event', record);
  const known = new Set([own, ...causes.map((one) => chain.step('cause', one))].map((step) => step.recordId));
  const steps = [
    ...evidence.filter((step) => !known.has(step.recordId)),
    ...causes.map((one) => chain.step('cause', one)),
    own,
    ...followed.filter((step) => !known.has(step.recordId)),
  ].sort((a, b) => (a.time < b.time ? -1 : a.time > b.time ? 1 : (a.sequence ?? 0) - (b.sequence ?? 0)));
  const root = causes.at(-1);
  const because =
    record.event === STATE_CHANGE
      ? `Trading went from ${text(record, 'risk.trading_state.old')} to ${text(record, 'risk.trading_state.new')} for ${text(record, 'risk.scope')} at ${clock(record)}, by ${text(record, 'risk.actor')}: ${text(record, 'risk.reason') ?? text(record, 'risk.reason.code') ?? 'no reason was recorded'}.`
      : `At ${clock(record)}: ${record.body}.`;
  const led =
    evidence.length === 0
      ? ''
      : ` ${evidence.length} ${evidence.length === 1 ? 'record' : 'records'} led there, the first at ${evidence[0]!.time.slice(11, 19)}.`;
  const cause = root === undefined ? '' : ` It goes back to: ${root.body} (${clock(root)}).`;
  return { answer: `${because}${cause}${led}${words}`, steps };
}

async function explainOrder(chain: Chain, id: string): Promise<Omit<Explanation, 'integrity'>> {
  const own = await chain.all({ order: id });
  if (own.length === 0) throw new RiskTrailError('NOTHING_TO_EXPLAIN', { what: `the trail has no order ${id}` });
  return explainGroup(chain, own, `Order ${id}`);
}

async function explainPosition(chain: Chain, id: string): Promise<Omit<Explanation, 'integrity'>> {
  const own = await chain.all({ position: id });
  if (own.length === 0) throw new RiskTrailError('NOTHING_TO_EXPLAIN', { what: `the trail has no position ${id}` });
  return explainGroup(chain, own, `Position ${id}`);
}

/** Moves of a stop between its first and its last are many and alike. */
const ALIKE = new Set(['risk.trailing_stop.peak', 'risk.trailing_stop.update', 'market.price']);

async function explainGroup(
  chain: Chain,
  own: readonly FlatRecord[],
  name: string,
): Promise<Omit<Explanation, 'integrity'>> {
  const told = own.filter((one, at) => !ALIKE.has(one.event ?? '') || own[at + 1]?.event !== one.event);
  const left = own.length - told.length;
  const causes: FlatRecord[] = [];
  for (const one of told) {
    if (text(one, 'risk.cause.record_id') === undefined) continue;
    for (const cause of await causesOf(chain, one))
      if (!own.includes(cause) && !causes.includes(cause)) causes.push(cause);
    if (causes.length >= MAX_CAUSES) break;
  }
  const steps = [...told.map((one) => chain.step('event', one)), ...causes.map((one) => chain.step('cause', one))].sort(
    (a, b) => (a.time < b.time ? -1 : a.time > b.time ? 1 : (a.sequence ?? 0) - (b.sequence ?? 0)),
  );
  const first = own[0]!;
  const last =
    own.findLast((one) => /^(order|trade)\./.test(one.event ?? '') || one.event === 'risk.portfolio_limit.rejection') ??
    own.at(-1)!;
  const why =
    text(last, 'risk.reason') ?? text(last, 'error.message') ?? (causes.length > 0 ? causes.at(-1)!.body : undefined);
  return {
    answer: `${name}: ${own.length} records from ${clock(first)} to ${clock(own.at(-1)!)}. Outcome: ${last.body}${why === undefined || last.body.includes(why) ? '' : ` (${why})`}.${left > 0 ? ` ${left} moves of its stop in between are left out.` : ''}`,
    steps,
  };
}
