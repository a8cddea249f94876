/** What an index keeps of a record: hashes of its ids, and a mark where it is one of the events that are counted or led to. */
import { CODES, type LineText, lineText, stands } from '../../audit/read/line-text.ts';
import type { AuditRecord } from '../../audit/read/reader.ts';
import { viewOf } from '../../core/bytes.ts';
import { hashOf, ID_KIND, type IdKind, idHash, inLine, textHash } from './record-index-hash.ts';
import { MARK, type MarkValues, type PartDraft, STATE } from './record-index-part.ts';
import type { RecordWalker } from './record-index-walk.ts';
import { AT, type Wanted } from './record-index-wanted.ts';

const { ZERO } = CODES;

const {
  'audit.record.id': RECORD_ID,
  'trading.order.id': ORDER_ID,
  'trading.order.client_id': CLIENT_ID,
  'trading.execution.id': EXECUTION_ID,
  'trading.position.id': POSITION_ID,
  'risk.trailing_stop.id': STOP_ID,
  'risk.decision': DECISION,
  'risk.rule.mode': RULE_MODE,
  'risk.cause.record_id': CAUSE,
  'audit.stream': STREAM,
  'audit.sequence.number': SEQUENCE,
  'risk.trading_state.new': STATE_NEW,
  'risk.scope': SCOPE,
  'risk.circuit_breaker.name': BREAKER,
} = AT;

/** What an order, or a position, is known by. */
const ORDER_IDS: readonly Wanted[] = ['trading.order.id', 'trading.order.client_id'];
const POSITION_IDS: readonly Wanted[] = ['trading.execution.id', 'trading.position.id', 'risk.trailing_stop.id'];

const STATE_CHANGE = 'risk.trading_state_change';
const CHECK = 'risk.portfolio_limit.check';
/** Events that leave a mark, and of which kind. */
const KINDS: Readonly<Record<string, number>> = {
  [STATE_CHANGE]: MARK.stateChange,
  'risk.circuit_breaker.failure': MARK.failure,
  'risk.circuit_breaker.trade_result': MARK.tradeResult,
  'risk.circuit_breaker.not_permitted': MARK.refused,
};
const EVENTS = [...Object.keys(KINDS), CHECK].map((name) => ({
  name,
  bytes: lineText(name),
  kinds: KINDS[name] ?? 0,
}));
const PRICE = lineText('market.price');
const ORDER_EVENT = lineText('order.');
const INTENT = lineText('order.intent');
const ACTIVE = lineText('ACTIVE');
const HALTED = lineText('HALTED');
const DENY = lineText('deny');
const OBSERVE = lineText('observe');

const NANO_DIGITS = 9;

/** Notes a decoded record. @param offset of its line, from where the part begins */
export function noteRecord(draft: PartDraft, record: AuditRecord, offset: number): void {
  const { attributes, eventName: event, stream, sequence } = record;
  const hashes = new Set<number>();
  const id = (kind: IdKind, value: unknown) => {
    if (typeof value !== 'string') return;
    const bytes = inLine(value);
    hashes.add(idHash(kind, viewOf(bytes), 0, bytes.length));
  };
  const told = (name: Wanted) => {
    const value = attributes[name];
    return value === undefined || value === null ? undefined : String(value);
  };
  id(ID_KIND.record, record.recordId);
  for (const name of ORDER_IDS) id(ID_KIND.order, attributes[name]);
  const orders = attributes['trading.order.ids'];
  if (Array.isArray(orders)) for (const one of orders) id(ID_KIND.order, one);
  if (event !== 'market.price') for (const name of POSITION_IDS) id(ID_KIND.position, attributes[name]);
  if (record.traceId !== '' && event.startsWith('order.') && event !== 'order.intent')
    id(ID_KIND.trace, record.traceId);
  for (const hash of hashes) draft.add(hash, offset);

  const digits = /^\d{1,20}$/.test(record.time) ? record.time.padStart(NANO_DIGITS + 1, '0') : '0'.padStart(10, '0');
  const seconds = Number(digits.slice(0, -NANO_DIGITS));
  const nanos = Number(digits.slice(-NANO_DIGITS));
  seen(draft, seconds, nanos);
  let kinds = Object.hasOwn(KINDS, event) ? KINDS[event]! : 0;
  if (event === CHECK && attributes['risk.decision'] === 'deny') kinds |= MARK.refused;
  if (attributes['risk.rule.mode'] === 'observe') kinds &= ~MARK.refused;
  const cause = told('risk.cause.record_id');
  if (cause !== undefined) kinds |= MARK.cites;
  if (kinds === 0) return;
  const state = told('risk.trading_state.new');
  draft.marks.push({
    offset,
    kinds,
    state: state === 'ACTIVE' ? STATE.active : state === 'HALTED' ? STATE.halted : 0,
    seconds,
    nanos,
    sequence: sequence ?? Number.NaN,
    stream: hashOf(stream),
    name: hashOf(told(event === STATE_CHANGE ? 'risk.scope' : 'risk.circuit_breaker.name')),
    cause: hashOf(cause),
    key: hashOf(
      stream !== undefined && sequence !== undefined
        ? `${stream}#${sequence}`
        : (record.recordId ?? `${record.time} ${event} ${record.body}`),
    ),
  });
}

function seen(draft: PartDraft, seconds: number, nanos: number): void {
  if (seconds < draft.lastSeconds || (seconds === draft.lastSeconds && nanos <= draft.lastNanos)) return;
  draft.lastSeconds = seconds;
  draft.lastNanos = nanos;
}

/** Notes an id that stands from `start` to `end`. @returns its hash; -1 where the record has no such id */
function noteId(draft: PartDraft, view: DataView, kind: IdKind, start: number, end: number, offset: number): number {
  if (end === 0) return -1;
  const hash = idHash(kind, view, start, end);
  draft.add(hash, offset);
  return hash;
}

/** Notes a record that was walked through. @returns whether that was enough: a rare one with escapes is decoded */
export function noteWalked(draft: PartDraft, walker: RecordWalker, offset: number): boolean {
  const { bytes, view, starts, ends, listed, event, time, timeEnd } = walker;
  let seconds = 0;
  let nanos = 0;
  const border = timeEnd - NANO_DIGITS;
  for (let i = time; i < timeEnd; i++) {
    if (i < border) seconds = seconds * 10 + (bytes[i] as number) - ZERO;
    else nanos = nanos * 10 + (bytes[i] as number) - ZERO;
  }
  seen(draft, seconds, nanos);

  noteId(draft, view, ID_KIND.record, starts[RECORD_ID]!, ends[RECORD_ID]!, offset);
  noteId(draft, view, ID_KIND.order, starts[ORDER_ID]!, ends[ORDER_ID]!, offset);
  noteId(draft, view, ID_KIND.order, starts[CLIENT_ID]!, ends[CLIENT_ID]!, offset);
  for (let i = 0; i < listed.length; i += 2) draft.add(idHash(ID_KIND.order, view, listed[i]!, listed[i + 1]!), offset);
  const length = walker.eventEnd - event;
  if (length !== PRICE.length || !stands(view, event, PRICE)) {
    const execution = noteId(draft, view, ID_KIND.position, starts[EXECUTION_ID]!, ends[EXECUTION_ID]!, offset);
    noteId(draft, view, ID_KIND.position, starts[POSITION_ID]!, ends[POSITION_ID]!, offset);
    // A stop mostly has the id of its execution.
    if (ends[STOP_ID] !== 0 && idHash(ID_KIND.position, view, starts[STOP_ID]!, ends[STOP_ID]!) !== execution)
      noteId(draft, view, ID_KIND.position, starts[STOP_ID]!, ends[STOP_ID]!, offset);
  }
  if (
    walker.traceEnd > walker.trace &&
    stands(view, event, ORDER_EVENT) &&
    (length !== INTENT.length || !stands(view, event, INTENT))
  )
    draft.add(idHash(ID_KIND.trace, view, walker.trace, walker.traceEnd), offset);

  let kinds = 0;
  let isChange = false;
  for (const one of EVENTS) {
    if (one.bytes.length !== length || !stands(view, event, one.bytes)) continue;
    kinds = one.name === CHECK && isText(walker, DECISION, DENY) ? MARK.refused : one.kinds;
    isChange = one.name === STATE_CHANGE;
    break;
  }
  if ((kinds & MARK.refused) !== 0 && isText(walker, RULE_MODE, OBSERVE)) kinds &= ~MARK.refused;
  if (ends[CAUSE] !== 0) kinds |= MARK.cites;
  if (kinds === 0) return true;
  // What is counted without being read must be readable: escapes are left to the general way. So is what has no number.
  const stream = STREAM;
  const sequence = SEQUENCE;
  if (walker.escaped || ends[stream] === 0 || ends[sequence] === 0) return false;
  const state = STATE_NEW;
  const name = isChange ? SCOPE : BREAKER;
  const cause = CAUSE;
  const mark: MarkValues = {
    offset,
    kinds,
    state: isText(walker, state, ACTIVE) ? STATE.active : isText(walker, state, HALTED) ? STATE.halted : 0,
    seconds,
    nanos,
    sequence: Number(bytes.toString('latin1', starts[sequence], ends[sequence])),
    stream: hashed(walker, stream),
    name: hashed(walker, name),
    cause: hashed(walker, cause),
    key: hashOf(
      `${bytes.toString('utf8', starts[stream], ends[stream])}#${bytes.toString('latin1', starts[sequence], ends[sequence])}`,
    ),
  };
  draft.marks.push(mark);
  return true;
}

function hashed(walker: RecordWalker, wanted: number): number {
  const end = walker.ends[wanted] as number;
  return end === 0 ? 0 : textHash(walker.bytes, walker.starts[wanted] as number, end);
}

function isText(walker: RecordWalker, wanted: number, text: LineText): boolean {
  const start = walker.starts[wanted] as number;
  return walker.ends[wanted] === start + text.length && stands(walker.view, start, text);
}
