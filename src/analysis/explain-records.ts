/** The records that an explanation stands on: what it asks of a trail, and how each came out of its check. */
import { leafHashBase64 } from '../audit/proof/tree.ts';
import { toAuditRecord } from '../audit/read/reader.ts';
import { auditForm } from '../audit/record/canonical.ts';
import { type OtlpLogRecord, plainAttributes, visitRecords } from '../audit/record/otlp.ts';
import { type FlatRecord, toFlatRecord } from './flat-record.ts';

/** `intact`: the record is what was hashed when it was written; `changed`: it is not; `unproven`: it claims no hash. */
export type Integrity = 'intact' | 'changed' | 'unproven';

/** A record with the outcome of its check: whether the hash that it claims is that of what stands there. */
export interface CheckedRecord {
  readonly flat: FlatRecord;
  readonly integrity: Integrity;
}

/** A text to compare with others of one finder; null for none. */
export type TextKey = string | number | null;

/** A change of trading state, as far as it is known without being read. */
export interface StateChange {
  readonly timestamp: string;
  readonly sequence: number | null;
  readonly stream: TextKey;
  readonly scope: TextKey;
  /** What trading became; null for anything else. */
  readonly state: 'ACTIVE' | 'HALTED' | null;
}

/** The first of some records, and how many there are. */
export interface FirstRecords {
  readonly first: readonly CheckedRecord[];
  readonly count: number;
}

/** Ids by which records are found: exactly one. */
export type IdQuestion =
  | { readonly recordId: string }
  /** Those of, or about, an order: by the venue's id, the service's own, or a list of ids. */
  | { readonly order: string }
  /** Those of an execution, a position or a stop, without its prices. */
  | { readonly position: string }
  /** Those of orders within traces, without what was only intended. */
  | { readonly traces: readonly string[] };

/** Finds the records that explanations stand on: in the order of time, then of their numbers, each once. */
export interface RecordFinder {
  find(question: IdQuestion): Promise<readonly CheckedRecord[]>;
  /** Every change of trading state. */
  changes(): readonly StateChange[];
  /** Reads one of {@link changes}. */
  read(change: StateChange): Promise<CheckedRecord>;
  /** A text as `stream` and `scope` of changes have it. */
  key(text: string | null | undefined): TextKey;
  /** The last failures, or results of closed trades, that a breaker's stream holds before one of its changes. */
  lastBefore(
    kind: 'failure' | 'tradeResult',
    change: FlatRecord,
    breaker: string,
    most: number,
  ): Promise<readonly CheckedRecord[]>;
  /** Those that name a record as their cause. */
  citing(recordId: string, most: number): Promise<FirstRecords>;
  /** Requests that were refused in a stream after a record, and before another where there is one. */
  refused(after: FlatRecord, before: FlatRecord | undefined, most: number): Promise<FirstRecords>;
  /** Time of the latest record; undefined where there is none. */
  lastTime(): string | undefined;
}

/** Whether a record is a request that was refused: by more than a rule that only observes. */
export const isRefused = (one: FlatRecord): boolean =>
  (one.event === 'risk.circuit_breaker.not_permitted' ||
    (one.event === 'risk.portfolio_limit.check' && one['risk.decision'] === 'deny')) &&
  one['risk.rule.mode'] !== 'observe';

/** What a question asks for, exactly. */
export function matches(question: IdQuestion, one: FlatRecord): boolean {
  if ('recordId' in question) return one.record_id === question.recordId;
  if ('traces' in question) {
    const isOrder = one.event?.startsWith('order.') === true && one.event !== 'order.intent';
    return isOrder && one.trace_id !== null && question.traces.includes(one.trace_id);
  }
  if ('position' in question) {
    const keys = ['trading.execution.id', 'trading.position.id', 'risk.trailing_stop.id'];
    return one.event !== 'market.price' && keys.some((key) => one[key] === question.position);
  }
  const ids = one['trading.order.ids'];
  return (
    one['trading.order.id'] === question.order ||
    one['trading.order.client_id'] === question.order ||
    (Array.isArray(ids) && ids.includes(question.order))
  );
}

/** What makes a record the same as another, however often it was delivered. */
export function identityOfRecord(one: FlatRecord): string {
  return one.stream !== null && one.sequence !== null
    ? `${one.stream}#${one.sequence}`
    : (one.record_id ?? `${one.timestamp} ${one.event} ${one.body}`);
}

/** By time, then by number. */
export function inOrder(
  a: { readonly timestamp: string; readonly sequence: number | null },
  b: { readonly timestamp: string; readonly sequence: number | null },
): number {
  if (a.timestamp !== b.timestamp) return a.timestamp < b.timestamp ? -1 : 1;
  return (a.sequence ?? 0) - (b.sequence ?? 0);
}

/** Those that are kept, sorted, each once: of several copies the first stands. */
export function onceInOrder(
  records: Iterable<CheckedRecord>,
  keep: (record: FlatRecord) => boolean,
): readonly CheckedRecord[] {
  const found = new Map<string, CheckedRecord>();
  for (const one of records) {
    if (!keep(one.flat)) continue;
    const key = identityOfRecord(one.flat);
    if (!found.has(key)) found.set(key, one);
  }
  return [...found.values()].sort((a, b) => inOrder(a.flat, b.flat));
}

/** The records of a line, each checked against the hash that it claims; none where the line is none. */
export function checkedRecords(line: string): readonly CheckedRecord[] {
  const records: CheckedRecord[] = [];
  let rounded = false;
  const visit = (exact: boolean) => (source: OtlpLogRecord, resource: unknown) => {
    const record = toAuditRecord(source, plainAttributes(resource), '', 0);
    const form = record.integrity === undefined ? undefined : auditForm(source);
    if (form?.rounded === true && !exact) rounded = true;
    const fits = form?.text !== undefined && leafHashBase64(form.text) === record.integrity;
    const integrity = record.integrity === undefined ? 'unproven' : fits ? 'intact' : 'changed';
    records.push({ flat: toFlatRecord(record), integrity });
  };
  visitRecords(line, visit(false));
  if (!rounded) return records;
  // Ints that no double holds must stay what they are, or the hash of a good record would not fit.
  records.length = 0;
  visitRecords(line, visit(true), true);
  return records;
}
