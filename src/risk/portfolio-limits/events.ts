/** The events of the portfolio limits, built from what was decided. */
import { type CatalogEvent, catalogEvent, type EventAttributes, type EventName } from '../../catalog/events.ts';
import type { CompiledLimits } from './compile.ts';
import type { Judgement } from './decision.ts';
import type { LimitType } from './kinds.ts';
import type { PortfolioLimitsOptions } from './options.ts';
import type { LimitOrder } from './portfolio.ts';
import type { LimitResult } from './result.ts';

/** The attributes of an event while it is being built. */
export type Building<N extends EventName> = { -readonly [K in keyof EventAttributes<N>]: EventAttributes<N>[K] };
type CheckAttributes = Building<'risk.portfolio_limit.check'>;
type OrderAttributes = Pick<
  CheckAttributes,
  | 'trading.symbol'
  | 'trading.side'
  | 'trading.quantity'
  | 'trading.price'
  | 'trading.order.id'
  | 'trading.order.client_id'
  | 'trading.order.type'
  | 'trading.order.role'
  | 'trading.order.reduce_only'
  | 'trading.account.id'
  | 'trading.strategy.id'
  | 'trading.venue'
>;

const isText = (value: unknown): value is string => typeof value === 'string' && value !== '';
const isNumber = (value: unknown): value is number => typeof value === 'number' && Number.isFinite(value);
const ROLES = ['entry', 'exit', 'take_profit', 'stop_loss'] as const;

/** Adds what can be recorded of an order: what is unusable is left out. */
export function setOrder(attributes: OrderAttributes, order: Partial<LimitOrder> | null | undefined): void {
  if (typeof order !== 'object' || order === null) return;
  if (isText(order.symbol)) attributes['trading.symbol'] = order.symbol;
  if (order.side === 'buy' || order.side === 'sell') attributes['trading.side'] = order.side;
  if (isNumber(order.quantity)) attributes['trading.quantity'] = order.quantity;
  if (isNumber(order.price)) attributes['trading.price'] = order.price;
  if (isText(order.orderId)) attributes['trading.order.id'] = order.orderId;
  if (isText(order.clientOrderId)) attributes['trading.order.client_id'] = order.clientOrderId;
  if (isText(order.type)) attributes['trading.order.type'] = order.type;
  if (order.role != null && ROLES.includes(order.role)) attributes['trading.order.role'] = order.role;
  if (typeof order.reduceOnly === 'boolean') attributes['trading.order.reduce_only'] = order.reduceOnly;
  if (isText(order.accountId)) attributes['trading.account.id'] = order.accountId;
  if (isText(order.strategyId)) attributes['trading.strategy.id'] = order.strategyId;
  if (isText(order.venue)) attributes['trading.venue'] = order.venue;
}

/** Names the set of limits where it is not the only one. */
export function setName(attributes: { 'risk.limit.set'?: string | undefined }, options: PortfolioLimitsOptions): void {
  if (options.name !== undefined && options.name !== 'default') attributes['risk.limit.set'] = options.name;
}

type ResultAttributes = Pick<
  CheckAttributes,
  | 'risk.limit.type'
  | 'risk.limit.current'
  | 'risk.limit.projected'
  | 'risk.limit.max'
  | 'risk.limit.utilization'
  | 'risk.limit.subject'
>;

/** Limits whose values are quotients: nobody asks for their seventh decimal, and seventeen digits cost time and room. */
const QUOTIENTS: ReadonlySet<string> = new Set<LimitType>([
  'position_percent',
  'sector_percent',
  'correlated_percent',
  'total_exposure_percent',
  'price_collar',
  'leverage',
  'margin',
  'drawdown',
]);

/** A value as it is recorded: quotients to six decimals, amounts and quantities as they are. */
function recorded(result: LimitResult, value: number): number {
  return QUOTIENTS.has(result.type) ? rounded(value) : value;
}

const rounded = (value: number): number => (value < 1e9 ? Math.round(value * 1e6) / 1e6 : value);

/** Adds one limit's numbers. */
export function setResult(attributes: ResultAttributes, result: LimitResult): void {
  attributes['risk.limit.type'] = result.type;
  attributes['risk.limit.current'] = recorded(result, result.current);
  attributes['risk.limit.projected'] = recorded(result, result.projected);
  attributes['risk.limit.max'] = result.max;
  attributes['risk.limit.utilization'] = result.utilization;
  if (result.subject !== undefined) attributes['risk.limit.subject'] = result.subject;
}

const BOUND_MOST = [
  'risk.limit.type',
  'risk.limit.current',
  'risk.limit.projected',
  'risk.limit.max',
  'risk.limit.utilization',
  'risk.limit.subject',
] as const satisfies readonly (keyof ResultAttributes)[];

/** The numbers of the limit that bound a check most, of its event's attributes: for an event that tells them again. */
export function boundMost(attributes: Partial<ResultAttributes>): Partial<ResultAttributes> {
  const told = BOUND_MOST.filter((name) => attributes[name] !== undefined);
  return Object.fromEntries(told.map((name) => [name, attributes[name]]));
}

/** The lists of the last check of a set of limits that seldom change: the same list is then given again. */
interface LastLists {
  readonly types: readonly string[];
  readonly max: readonly number[];
  readonly codes: readonly string[];
}

const NO_LISTS: LastLists = { types: [], max: [], codes: [] };
const lastLists = new WeakMap<CompiledLimits, LastLists>();

/** `last`, where the rows give the same values; else a new frozen list. */
function listOf<T>(
  last: readonly T[],
  results: readonly LimitResult[],
  read: (result: LimitResult) => T,
): readonly T[] {
  const { length } = results;
  let same = last.length === length;
  for (let i = 0; same && i < length; i++) same = last[i] === read(results[i]!);
  return same ? last : Object.freeze(results.map(read));
}

const typeOf = (result: LimitResult) => result.type;
const maxOf = (result: LimitResult) => result.max;
const codeOf = (result: LimitResult) => result.code;

/** Adds the lists that run beside each other, one entry for each limit. */
export function setResults(
  attributes: Building<'risk.portfolio_limit.check'> | Building<'risk.portfolio_health'>,
  results: readonly LimitResult[],
  limits: CompiledLimits,
): void {
  const last = lastLists.get(limits) ?? NO_LISTS;
  const types = listOf<string>(last.types, results, typeOf);
  const max = listOf(last.max, results, maxOf);
  const codes = listOf(last.codes, results, codeOf);
  if (types !== last.types || max !== last.max || codes !== last.codes) lastLists.set(limits, { types, max, codes });
  const count = results.length;
  const current = new Array<number>(count);
  const projected = new Array<number>(count);
  const utilization = new Array<number>(count);
  for (let i = 0; i < count; i++) {
    const result = results[i]!;
    const isQuotient = QUOTIENTS.has(result.type);
    current[i] = isQuotient ? rounded(result.current) : result.current;
    projected[i] = isQuotient ? rounded(result.projected) : result.projected;
    utilization[i] = result.utilization;
  }
  attributes['risk.limits.type'] = types;
  attributes['risk.limits.current'] = current;
  attributes['risk.limits.projected'] = projected;
  attributes['risk.limits.max'] = max;
  attributes['risk.limits.utilization'] = utilization;
  attributes['risk.limits.code'] = codes;
}

/** `risk.portfolio_limit.check`, and a rejection or warning for each limit that calls for one. */
export function checkEvents(judgement: Judgement): CatalogEvent[] {
  const { order, parts, decision, binding, limits } = judgement;
  const attributes: CheckAttributes = { 'risk.decision': decision.decision, 'risk.reason.code': decision.code };
  setOrder(attributes, order);
  if (decision.decision !== 'allow') attributes['risk.reason'] = decision.reason;
  if (binding !== undefined) setResult(attributes, binding);
  setResults(attributes, decision.results, limits);
  if (decision.unevaluated.length > 0) attributes['risk.limits.unevaluated'] = decision.unevaluated;
  if (decision.warnings.length > 0) attributes['risk.warnings'] = decision.warnings;
  if (decision.decision === 'cap') attributes['risk.limit.capped_quantity'] = decision.quantity;
  attributes['trading.position.quantity'] = parts.held;
  attributes['risk.limit.at_ms'] = judgement.now;
  setName(attributes, limits.options);
  const events: CatalogEvent[] = [catalogEvent('risk.portfolio_limit.check', attributes)];
  // An exit is not what brings a limit near.
  if (parts.adding > 0) for (const result of decision.results) addFollowUp(events, judgement, result);
  return events;
}

function addFollowUp(events: CatalogEvent[], judgement: Judgement, result: LimitResult): void {
  const { outcome } = result;
  if (outcome !== 'deny' && outcome !== 'warn') return;
  const { gate, limits, order } = judgement;
  const attributes: Building<'risk.portfolio_limit.rejection'> = {
    'risk.limit.type': result.type,
    'risk.reason.code': result.code,
  };
  setResult(attributes, result);
  setOrder(attributes, order);
  setName(attributes, limits.options);
  if (outcome === 'warn') {
    const warnAt = (limits.options as Record<string, { warnAt?: number } | undefined>)[optionOf(limits, result)]
      ?.warnAt;
    if (warnAt !== undefined) attributes['risk.limit.warn'] = warnAt * result.max;
    events.push(catalogEvent('risk.portfolio_limit.warning', attributes));
    return;
  }
  if (result.type === 'trading_state' && gate !== undefined) {
    attributes['risk.scope'] = gate.scope;
    if (gate.reason !== undefined) attributes['risk.reason'] = gate.reason;
    // What halted trading is what denied the order.
    if (gate.causeRecordId !== undefined) attributes['risk.cause.record_id'] = gate.causeRecordId;
  }
  events.push(catalogEvent('risk.portfolio_limit.rejection', attributes));
}

const optionOf = (limits: CompiledLimits, result: LimitResult): string =>
  limits.list.find((limit) => limit.type === result.type)?.name ?? '';

/** `risk.portfolio_limit.invalid_input`. @param operation which input it was */
export function invalidInputEvent(
  limits: CompiledLimits,
  code: string,
  order: Partial<LimitOrder> | null | undefined,
  operation: string,
): CatalogEvent {
  const attributes: Building<'risk.portfolio_limit.invalid_input'> = {
    'risk.reason.code': code,
    operation,
  };
  setOrder(attributes, order);
  setName(attributes, limits.options);
  return catalogEvent('risk.portfolio_limit.invalid_input', attributes);
}
