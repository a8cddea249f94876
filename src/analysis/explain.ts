/** Why something happened: the chain of records that led to it, in words, and how far each of them can be trusted. */
import type { AuditRecord } from '../audit/read/reader.ts';
import { RiskTrailError } from '../core/errors.ts';
import { type FlatRecord, toFlatRecord } from './flat-record.ts';
import { literal } from './sql/columns.ts';
import type { TrailDatabase, TrailRecord } from './sql/trail-database.ts';

/** What is to be explained: exactly one. */
export interface ExplainTarget {
  /** A point in time, as a timestamp with nine digits of the second. */
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
  readonly integrity: 'intact' | 'changed' | 'unproven';
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
const MINUTE_NS = 60_000_000_000n;

const text = (record: FlatRecord, key: string): string | undefined => {
  const value = record[key];
  return value === undefined || value === null ? undefined : String(value);
};
const clock = (record: FlatRecord): string => `${record.timestamp.slice(0, 10)} ${record.timestamp.slice(11, 19)} UTC`;

/** Where an explanation finds the records whose line holds one of some texts, as they stand in the line. */
export type FindRecords = (texts: readonly string[]) => Promise<readonly TrailRecord[]>;

/** Each question is a scan of the trail. */
export function scanFor(database: TrailDatabase): FindRecords {
  return (texts) => database.records(texts.map((one) => `contains(json, ${literal(one)})`).join(' OR '));
}

/** Explanations of many events look at the same records again and again. */
const flats = new WeakMap<AuditRecord, FlatRecord>();
function flatOf(record: AuditRecord): FlatRecord {
  const known = flats.get(record) ?? toFlatRecord(record);
  flats.set(record, known);
  return known;
}

/** A text as it stands within a string of a line. */
const inLine = (text: string): string => JSON.stringify(text).slice(1, -1);

/** Records by id, and how each came out of its check. */
class Chain {
  readonly #find: FindRecords;
  readonly #known = new Map<string, Known>();

  constructor(find: FindRecords) {
    this.#find = find;
  }

  /** The records whose line holds one of the texts as they are, in the order of time, each once. */
  async find(texts: readonly string[], keep: (record: FlatRecord) => boolean): Promise<FlatRecord[]> {
    const found = new Map<string, FlatRecord>();
    for (const one of await this.#find(texts)) {
      const flat = flatOf(one.record);
      if (!keep(flat)) continue;
      const key = keyOf(one.record);
      if (!this.#known.has(key)) this.#known.set(key, { flat, integrity: one.integrity });
      found.set(key, this.#known.get(key)!.flat);
    }
    return [...found.values()].sort(inOrder);
  }

  step(part: ExplainStep['part'], flat: FlatRecord, words = flat.body): ExplainStep {
    const known = [...this.#known.values()].find((one) => one.flat === flat);
    return {
      part,
      time: flat.timestamp,
      event: flat.event,
      text: words,
      recordId: flat.record_id,
      stream: flat.stream,
      sequence: flat.sequence,
      traceId: flat.trace_id,
      integrity: known?.integrity ?? 'unproven',
    };
  }
}

interface Known {
  readonly flat: FlatRecord;
  readonly integrity: ExplainStep['integrity'];
}

function keyOf(record: AuditRecord): string {
  return record.stream !== undefined && record.sequence !== undefined
    ? `${record.stream}#${record.sequence}`
    : (record.recordId ?? `${record.time} ${record.eventName} ${record.body}`);
}

function inOrder(a: FlatRecord, b: FlatRecord): number {
  if (a.timestamp !== b.timestamp) return a.timestamp < b.timestamp ? -1 : 1;
  return (a.sequence ?? 0) - (b.sequence ?? 0);
}

/**
 * Explains a halt, an event, an order or a position.
 * @param find where its records are found: {@link scanFor}
 * @throws RiskTrailError NOTHING_TO_EXPLAIN, and what `TrailDatabase.query` throws
 */
export async function explain(find: FindRecords, target: ExplainTarget): Promise<Omit<Explanation, 'integrity'>> {
  const chain = new Chain(find);
  if (target.at !== undefined) return explainTime(chain, target.at);
  if (target.event !== undefined) {
    const id = target.event;
    const [record] = await chain.find([inLine(id)], (one) => one.record_id === id);
    if (record === undefined) throw new RiskTrailError('NOTHING_TO_EXPLAIN', { what: `the trail has no record ${id}` });
    return explainRecord(chain, record);
  }
  if (target.order !== undefined) return explainOrder(chain, target.order);
  return explainPosition(chain, target.position ?? '');
}

async function explainTime(chain: Chain, at: string): Promise<Omit<Explanation, 'integrity'>> {
  const changes = await chain.find([`"${STATE_CHANGE}"`], (one) => one.event === STATE_CHANGE);
  const when = `${at.slice(0, 10)} ${at.slice(11, 19)} UTC`;
  // Who asks for 10:30 means the minute: a halt that begins in it is meant, too.
  const until = at.slice(17) === '00.000000000Z' ? isoPlusMinute(at) : at;
  const scopes = new Map<string, FlatRecord>();
  for (const change of changes) {
    if (change.timestamp <= until) scopes.set(`${change.stream} ${text(change, 'risk.scope') ?? 'global'}`, change);
  }
  const inForce = [...scopes.values()].filter((one) => text(one, 'risk.trading_state.new') !== 'ACTIVE').sort(inOrder);
  const halt = inForce.findLast((one) => text(one, 'risk.trading_state.new') === 'HALTED') ?? inForce.at(-1);
  if (halt !== undefined) return explainRecord(chain, halt);
  const halts = changes.filter((one) => text(one, 'risk.trading_state.new') !== 'ACTIVE');
  if (halts.length === 0) return { answer: `Nothing halted at ${when}: the trail has no halt at all.`, steps: [] };
  const before = halts.findLast((one) => one.timestamp <= at);
  const after = halts.find((one) => one.timestamp > at);
  const nearest = [before, after].filter((one) => one !== undefined);
  const told = nearest.map((one) => `${clock(one)} (${one.body})`).join(' and ');
  return {
    answer: `Nothing was halted at ${when}; the nearest ${nearest.length === 1 ? 'halt is' : 'halts are'} ${told}.`,
    steps: nearest.map((one) => chain.step('event', one)),
  };
}

function isoPlusMinute(iso: string): string {
  const ns = BigInt(Date.parse(`${iso.slice(0, 19)}Z`)) * 1_000_000n + MINUTE_NS - 1n;
  const seconds = new Date(Number(ns / 1_000_000n)).toISOString().slice(0, 19);
  return `${seconds}.999999999Z`;
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
    const [cause] = await chain.find([inLine(id)], (one) => one.record_id === id);
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
  const before = (one: FlatRecord) =>
    one.stream === change.stream &&
    (one.sequence ?? 0) < (change.sequence ?? 0) &&
    text(one, 'risk.circuit_breaker.name') === name;
  const failures = Number(change['risk.circuit_breaker.failure_count'] ?? 0);
  if (failures > 0) {
    const found = await chain.find(
      ['risk.circuit_breaker.failure'],
      (one) => one.event === 'risk.circuit_breaker.failure' && before(one),
    );
    const last = found.slice(-Math.min(failures, MAX_EVIDENCE));
    const traces = new Set(last.map((one) => one.trace_id).filter((id) => id !== null));
    const orders =
      traces.size === 0
        ? []
        : await chain.find(
            [...traces],
            (one) => one.event?.startsWith('order.') === true && one.event !== 'order.intent',
          );
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
  const needed = Math.min(Number(change['risk.circuit_breaker.trigger_value'] ?? 1), MAX_EVIDENCE);
  const results = await chain.find(
    ['risk.circuit_breaker.trade_result'],
    (one) => one.event === 'risk.circuit_breaker.trade_result' && before(one),
  );
  return results
    .slice(-Math.max(1, needed))
    .map((one) =>
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
  const cited = id === null ? [] : await chain.find([inLine(id)], (one) => text(one, 'risk.cause.record_id') === id);
  const steps = cited.slice(0, MAX_FOLLOWED).map((one) => chain.step('followed', one));
  if (record.event !== STATE_CHANGE)
    return { steps, words: cited.length > MAX_FOLLOWED ? ` ${cited.length} records name it as their cause.` : '' };
  const changes = await chain.find(
    [`"${STATE_CHANGE}"`],
    (one) => one.event === STATE_CHANGE && one.stream === record.stream,
  );
  const scope = text(record, 'risk.scope');
  const end = changes.find(
    (one) =>
      inOrder(record, one) < 0 && text(one, 'risk.scope') === scope && text(one, 'risk.trading_state.new') === 'ACTIVE',
  );
  const refused = await chain.find(['"deny"', 'risk.circuit_breaker.not_permitted'], (one) => {
    const is =
      one.event === 'risk.circuit_breaker.not_permitted' ||
      (one.event === 'risk.portfolio_limit.check' && one['risk.decision'] === 'deny');
    return (
      is && one.stream === record.stream && inOrder(record, one) < 0 && (end === undefined || inOrder(one, end) < 0)
    );
  });
  const told = new Set(steps.map((step) => step.recordId));
  for (const one of refused)
    if (steps.length < MAX_FOLLOWED && !told.has(one.record_id)) steps.push(chain.step('followed', one));
  if (end !== undefined && !told.has(end.record_id)) steps.push(chain.step('followed', end));
  const count =
    refused.length === 0
      ? 'No entry was refused meanwhile.'
      : `${refused.length} ${refused.length === 1 ? 'request was' : 'requests were'} refused meanwhile.`;
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
  const isOf = (one: FlatRecord) => {
    const ids = one['trading.order.ids'];
    return (
      one['trading.order.id'] === id ||
      one['trading.order.client_id'] === id ||
      (Array.isArray(ids) && ids.includes(id))
    );
  };
  const own = await chain.find([inLine(id)], isOf);
  if (own.length === 0) throw new RiskTrailError('NOTHING_TO_EXPLAIN', { what: `the trail has no order ${id}` });
  return explainGroup(chain, own, `Order ${id}`);
}

async function explainPosition(chain: Chain, id: string): Promise<Omit<Explanation, 'integrity'>> {
  const isOf = (one: FlatRecord) =>
    one['trading.execution.id'] === id || one['trading.position.id'] === id || one['risk.trailing_stop.id'] === id;
  const own = await chain.find([inLine(id)], (one) => isOf(one) && one.event !== 'market.price');
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
