/** The check of one order against every limit, pure: what may be sent, each limit's numbers, and the events that say so. */

import { TRADING_STATES } from '../../catalog/attributes.ts';
import type { CatalogEvent } from '../../catalog/events.ts';
import type { GateAnswer, GateQuestion } from '../trading-state.ts';
import { cappedAdding } from './cap.ts';
import type { CompiledLimits } from './compile.ts';
import type { Judgement, LimitDecision } from './decision.ts';
import { checkEvents, invalidInputEvent } from './events.ts';
import { collectExposure, type Exposure } from './exposure.ts';
import type { Measure } from './kinds.ts';
import {
  detailProblem,
  heldQuantity,
  type LimitOrder,
  type OrderParts,
  orderProblem,
  type Portfolio,
  portfolioProblem,
  splitOrder,
} from './portfolio.ts';
import { finite, judge, type LimitResult, MAX_UTILIZATION } from './result.ts';
import { applyLimitsChange, type LimitsChange, type LimitsState } from './state.ts';

export interface CheckStep {
  readonly state: LimitsState;
  readonly decision: LimitDecision;
  /** What changes in the state; undefined where nothing does. `state` has it applied. */
  readonly change: LimitsChange | undefined;
  /** An unusable input where there was one; then `risk.portfolio_limit.check`; then its rejections and warnings. */
  readonly events: readonly CatalogEvent[];
}

const NO_PARTS: OrderParts = { held: 0, reducing: 0, adding: 0 };

/**
 * Checks an order against all limits. A denied order leaves the state as it was; one that passes counts for the rates and
 * the limits on like orders. Never throws on unusable input: that is denied under a code of its own.
 * @param askGate the trading gate's answer to whether the order may be sent
 * @param now epoch milliseconds
 */
export function checkOrder(
  limits: CompiledLimits,
  state: LimitsState,
  portfolio: Portfolio,
  order: LimitOrder,
  now: number,
  askGate: (question: GateQuestion) => GateAnswer,
): CheckStep {
  const problem = orderProblem(order);
  if (problem !== '') return refuse(limits, state, order, NO_PARTS, now, problem, undefined);
  const parts = splitOrder(heldQuantity(portfolio, order.symbol), order);
  const gate = askGate({
    reduces: parts.adding === 0,
    symbol: order.symbol,
    accountId: order.accountId ?? undefined,
    strategyId: order.strategyId ?? undefined,
    venue: order.venue ?? undefined,
  });
  const detail = detailProblem(order) || portfolioProblem(portfolio);
  if (detail !== '') return refuse(limits, state, order, parts, now, detail, gate);

  const exposure = collectExposure(limits.needs, state, portfolio, order, parts, now);
  const results: LimitResult[] = [gateResult(gate)];
  const unevaluated: string[] = [];
  if (limits.priced) results.push(priceResult(limits, exposure, unevaluated));
  const { list } = limits;
  const caps: Measure[] = [];
  for (let index = 0; index < list.length; index += 1) {
    const limit = list[index]!;
    const m: Measure = { current: 0, base: 0, slope: 0, max: limit.max, worsens: true, code: '', subject: undefined };
    limit.evaluate(exposure, m);
    const result = judge(limit, m, parts.adding);
    results.push(result);
    if (result.outcome === 'cap') caps.push(m);
    if (m.code !== '') unevaluated.push(`${limit.type}:${m.code}`);
  }
  return conclude(limits, state, order, parts, now, gate, results, unevaluated, caps);
}

/** The trading state as a row among the limits: its code (ACTIVE 0, REDUCING 1, HALTED 2) against 0. */
function gateResult(gate: GateAnswer): LimitResult {
  const state = TRADING_STATES.indexOf(gate.state);
  return {
    type: 'trading_state',
    mode: 'deny',
    outcome: gate.allowed ? 'ok' : 'deny',
    code: gate.allowed ? 'OK' : gate.code,
    current: state,
    projected: state,
    max: 0,
    utilization: gate.allowed ? 0 : MAX_UTILIZATION,
    subject: gate.scope,
  };
}

/** The market price as a row among the limits: its age in milliseconds against the oldest allowed (0: any age). */
function priceResult(limits: CompiledLimits, exposure: Exposure, unevaluated: string[]): LimitResult {
  const maxAge = limits.options.maxPriceAgeMs;
  const age = Number.isNaN(exposure.priceAgeMs) ? 0 : exposure.priceAgeMs;
  let code = exposure.price > 0 ? exposure.valueCode : 'PRICE_MISSING';
  if (maxAge !== undefined && code === '') {
    if (Number.isNaN(exposure.priceAgeMs)) code = 'PRICE_TIME_MISSING';
    else if (age > maxAge) code = 'PRICE_STALE';
  }
  if (code !== '') unevaluated.push(`price:${code}`);
  return {
    type: 'price',
    mode: 'deny',
    outcome: code === '' ? 'ok' : exposure.adding > 0 ? 'deny' : 'unevaluated',
    code: code === '' ? 'OK' : code,
    current: age,
    projected: age,
    max: maxAge ?? 0,
    utilization: maxAge === undefined ? 0 : Math.min(MAX_UTILIZATION, finite(age / maxAge)),
    subject: exposure.order.symbol,
  };
}

function conclude(
  limits: CompiledLimits,
  state: LimitsState,
  order: LimitOrder,
  parts: OrderParts,
  now: number,
  gate: GateAnswer,
  results: readonly LimitResult[],
  unevaluated: readonly string[],
  caps: readonly Measure[],
): CheckStep {
  let binding: LimitResult | undefined;
  const warnings: string[] = [];
  for (const result of results) {
    if (result.outcome === 'warn') warnings.push(result.code);
    if (binding === undefined || bindsMore(result, binding)) binding = result;
  }
  const denied = binding?.outcome === 'deny';
  let quantity = order.quantity;
  if (denied) quantity = parts.reducing;
  else if (caps.length > 0) {
    const step = order.quantityStep ?? limits.options.quantityStep;
    quantity = parts.reducing + cappedAdding(caps, parts, step);
  }
  const kind = quantity === 0 ? 'deny' : quantity < order.quantity ? 'cap' : 'allow';
  const decision: LimitDecision = {
    allowed: kind !== 'deny',
    decision: kind,
    quantity,
    code: kind === 'allow' ? 'OK' : (binding?.code ?? 'OK'),
    reason: kind === 'allow' ? passReason(parts) : refusalReason(binding!, gate, kind, quantity),
    results,
    warnings,
    unevaluated,
    recordId: undefined,
  };
  return finish(state, { limits, order, parts, now, gate, decision, binding }, []);
}

/** Denied before capped, the gate and the price before all; then by how much of the limit is used. */
function bindsMore(one: LimitResult, other: LimitResult): boolean {
  const rank = RANK[one.outcome] - RANK[other.outcome];
  if (rank !== 0) return rank > 0;
  if (one.outcome === 'deny' && (other.type === 'trading_state' || other.type === 'price')) return false;
  return (
    one.utilization > other.utilization || (one.utilization === other.utilization && other.type === 'trading_state')
  );
}
const RANK = { deny: 2, cap: 1, warn: 0, ok: 0, unevaluated: 0 } as const;

const passReason = (parts: OrderParts): string =>
  parts.adding === 0 ? 'reduces risk, which always passes' : 'within all limits';

function refusalReason(
  binding: LimitResult,
  gate: GateAnswer,
  kind: 'allow' | 'cap' | 'deny',
  quantity: number,
): string {
  const cut = kind === 'cap' ? `; no more than ${quantity} may be sent` : '';
  if (binding.type === 'trading_state') {
    return `trading is ${gate.state} for ${gate.scope}${gate.reason === undefined ? '' : ` (${gate.reason})`}${cut}`;
  }
  const subject = binding.subject === undefined ? '' : ` of ${binding.subject}`;
  if (binding.outcome === 'deny' && (binding.type === 'price' || binding.code.endsWith('_MISSING'))) {
    return `${binding.type}${subject} could not be judged: ${binding.code}${cut}`;
  }
  if (binding.code === 'EQUITY_NOT_POSITIVE') return `${binding.type}: equity is not above 0${cut}`;
  return `${binding.type}${subject} would be ${binding.projected}, at most ${binding.max} is allowed${cut}`;
}

/** An order that cannot be judged: its reducing part passes, the rest is denied. */
function refuse(
  limits: CompiledLimits,
  state: LimitsState,
  order: LimitOrder,
  parts: OrderParts,
  now: number,
  code: string,
  gate: GateAnswer | undefined,
): CheckStep {
  const results: LimitResult[] = [];
  const unevaluated: string[] = [];
  const add = (type: LimitResult['type'], mode: LimitResult['mode'], max: number) => {
    results.push({ type, mode, outcome: 'unevaluated', code, current: 0, projected: 0, max, utilization: 0 });
    unevaluated.push(`${type}:${code}`);
  };
  if (gate !== undefined) results.push(gateResult(gate));
  else add('trading_state', 'deny', 0);
  if (limits.priced) add('price', 'deny', limits.options.maxPriceAgeMs ?? 0);
  for (const limit of limits.list) add(limit.type, limit.mode, limit.max);
  const quantity = parts.reducing;
  const kind = quantity === 0 ? 'deny' : parts.adding === 0 ? 'allow' : 'cap';
  const decision: LimitDecision = {
    allowed: kind !== 'deny',
    decision: kind,
    quantity,
    code: kind === 'allow' ? 'OK' : code,
    reason: kind === 'allow' ? passReason(parts) : `the input is unusable: ${code}`,
    results,
    warnings: [],
    unevaluated,
    recordId: undefined,
  };
  const invalid = invalidInputEvent(limits, code, order, 'check');
  return finish(state, { limits, order, parts, now, gate, decision, binding: undefined }, [invalid]);
}

function finish(state: LimitsState, judgement: Judgement, before: readonly CatalogEvent[]): CheckStep {
  const { decision, order, now } = judgement;
  const events = [...before, ...checkEvents(judgement)];
  if (!decision.allowed) return { state, decision, change: undefined, events };
  const { symbol, side, quantity } = order;
  const price = typeof order.price === 'number' && Number.isFinite(order.price) ? order.price : null;
  const clientOrderId = (typeof order.clientOrderId === 'string' && order.clientOrderId) || null;
  const change = { type: 'order_sent', atMs: now, symbol, side, quantity, price, clientOrderId } as const;
  return { state: applyLimitsChange(state, change), decision, change, events };
}
