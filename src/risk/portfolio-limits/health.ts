/** The health of a portfolio without an order: its heat, and how much of every limit it uses. */
import { type CatalogEvent, catalogEvent } from '../../catalog/events.ts';
import type { CompiledLimit, CompiledLimits } from './compile.ts';
import { type Building, invalidInputEvent, setName, setResult, setResults } from './events.ts';
import { collectExposure, positionPriceProblem } from './exposure.ts';
import type { Measure } from './kinds.ts';
import { type LimitOrder, type Portfolio, portfolioProblem } from './portfolio.ts';
import { isBeyond, judge, type LimitResult, utilizationOf } from './result.ts';
import type { LimitsState } from './state.ts';

/** One limit as the portfolio stands; of limits per symbol or group, the one that is used most (`subject`). */
export interface LimitHealth extends LimitResult {
  /** What is left up to the limit; below 0 where it is passed. */
  readonly headroom: number;
}

/** The health of a portfolio. */
export interface PortfolioHealth {
  /**
   * Open risk in percent of equity; undefined where it cannot be found. The open risk of a position with a stop is what
   * the way from its price to the stop costs, |quantity| × |price − stop| × multiplier; without a usable stop, all of its
   * notional.
   */
  readonly heat: number | undefined;
  /** The same in the account's currency. */
  readonly openRisk: number | undefined;
  readonly positionCount: number;
  /** `OK`, or the code of what keeps heat from being found. */
  readonly code: string;
  readonly limits: readonly LimitHealth[];
  /** Codes of the limits that are near or passed; `PORTFOLIO_HEAT_NEAR` and `PORTFOLIO_HEAT_EXCEEDED` among them. */
  readonly warnings: readonly string[];
  /** Limits that lacked an input, as `type:CODE`. */
  readonly unevaluated: readonly string[];
  /** Record id of the `risk.portfolio_health` event. */
  readonly recordId: string | undefined;
}

export interface HealthStep {
  readonly health: PortfolioHealth;
  /** An unusable portfolio where it is one; `risk.portfolio_health`; then warnings. */
  readonly events: readonly CatalogEvent[];
}

/**
 * Looks a portfolio over. Changes nothing.
 * @param now epoch milliseconds
 */
export function portfolioHealth(
  limits: CompiledLimits,
  state: LimitsState,
  portfolio: Portfolio,
  now: number,
): HealthStep {
  const problem = portfolioProblem(portfolio);
  const rows: LimitHealth[] = [];
  const unevaluated: string[] = [];
  const measures = problem === '' ? worstMeasures(limits, state, portfolio, now) : [];
  for (const [index, limit] of limits.list.entries()) {
    const m = measures[index] ?? emptyMeasure(limit, problem || 'PORTFOLIO_INVALID');
    const result = judge(limit, m, 0);
    rows.push({ ...result, headroom: m.code === '' ? result.max - result.current : 0 });
    if (m.code !== '') unevaluated.push(`${limit.type}:${m.code}`);
  }
  const heat = problem === '' ? measureHeat(limits, portfolio, now) : { code: problem };
  const warnings = rows.filter((row) => row.outcome === 'warn').map((row) => row.code);
  const heatCode = heatWarning(limits, heat.heat);
  if (heatCode !== '') warnings.push(heatCode);
  const health: PortfolioHealth = {
    heat: heat.heat,
    openRisk: heat.openRisk,
    positionCount: problem === '' ? portfolio.positions.filter((one) => one.quantity !== 0).length : 0,
    code: heat.code,
    limits: rows,
    warnings,
    unevaluated,
    recordId: undefined,
  };
  const invalid = problem === '' ? [] : [invalidInputEvent(limits, problem, undefined, 'health')];
  return { health, events: [...invalid, ...healthEvents(limits, portfolio, health, heatCode)] };
}

/** What each limit is at most, seen from every symbol and side: pending orders weigh on one side at a time. */
function worstMeasures(limits: CompiledLimits, state: LimitsState, portfolio: Portfolio, now: number): Measure[] {
  const worst: Measure[] = [];
  for (const order of probes(state, portfolio)) {
    const parts = { held: 0, reducing: 0, adding: 0 };
    const held = portfolio.positions.reduce((sum, one) => (one.symbol === order.symbol ? sum + one.quantity : sum), 0);
    const exposure = collectExposure(limits.needs, state, portfolio, order, { ...parts, held }, now);
    for (const [index, limit] of limits.list.entries()) {
      const m = emptyMeasure(limit, '');
      limit.evaluate(exposure, m);
      m.base = m.current;
      m.slope = 0;
      const known = worst[index];
      if (known === undefined || isWorse(m, known)) worst[index] = m;
    }
  }
  return worst;
}

function isWorse(one: Measure, other: Measure): boolean {
  if (other.code !== '') return false;
  return one.code !== '' || utilizationOf(one.current, one.max) > utilizationOf(other.current, other.max);
}

/** Orders of nothing, one for each symbol and side: what the limits would look at before a real one. */
function* probes(state: LimitsState, portfolio: Portfolio): Generator<LimitOrder> {
  const symbols = new Map<string, LimitOrder>();
  const note = (order: Omit<LimitOrder, 'side' | 'quantity'>) => {
    if (!symbols.has(order.symbol)) symbols.set(order.symbol, { ...order, side: 'buy', quantity: 0 });
  };
  for (const position of portfolio.positions) {
    if (position.quantity === 0) continue;
    const { symbol, underlying, sector, correlationGroup } = position;
    note({ symbol, underlying, sector, correlationGroup });
  }
  for (const pending of [...Object.values(state.pending), ...(portfolio.pending ?? [])]) {
    const { symbol, underlying, sector, correlationGroup, price, referencePrice } = pending;
    note({ symbol, underlying, sector, correlationGroup, referencePrice: referencePrice ?? price });
  }
  if (symbols.size === 0) note({ symbol: '', referencePrice: 1 });
  for (const order of symbols.values()) {
    yield order;
    yield { ...order, side: 'sell' };
  }
}

const emptyMeasure = (limit: CompiledLimit, code: string): Measure => ({
  ...{ current: 0, base: 0, slope: 0, max: limit.max, worsens: false, code, subject: undefined },
});

interface Heat {
  readonly heat?: number;
  readonly openRisk?: number;
  readonly code: string;
}

function measureHeat(limits: CompiledLimits, portfolio: Portfolio, now: number): Heat {
  let openRisk = 0;
  for (const position of portfolio.positions) {
    if (position.quantity === 0) continue;
    const problem = positionPriceProblem(position, limits.needs, now);
    if (problem !== '') return { code: problem };
    const price = position.price!;
    const stop = position.stopPrice;
    const perUnit = typeof stop === 'number' && stop > 0 ? Math.abs(price - stop) : price;
    openRisk += Math.abs(position.quantity) * perUnit * (position.multiplier ?? 1);
  }
  if (!Number.isFinite(openRisk)) return { code: 'PORTFOLIO_INVALID' };
  const equity = portfolio.equity ?? Number.NaN;
  if (Number.isNaN(equity)) return { openRisk, code: 'EQUITY_MISSING' };
  const heat = (openRisk / equity) * 100;
  return equity > 0 && Number.isFinite(heat)
    ? { heat, openRisk, code: 'OK' }
    : { openRisk, code: 'EQUITY_NOT_POSITIVE' };
}

function heatWarning(limits: CompiledLimits, heat: number | undefined): string {
  const limit = limits.options.heat;
  if (limit === undefined || heat === undefined) return '';
  if (isBeyond(heat, limit.max)) return 'PORTFOLIO_HEAT_EXCEEDED';
  return heat > 0 && heat >= limit.max * (limit.warnAt ?? 0.8) ? 'PORTFOLIO_HEAT_NEAR' : '';
}

function healthEvents(
  limits: CompiledLimits,
  portfolio: Portfolio,
  health: PortfolioHealth,
  heatCode: string,
): CatalogEvent[] {
  const attributes: Building<'risk.portfolio_health'> = {
    'trading.position.count': health.positionCount,
    'risk.reason.code': health.code,
  };
  const equity =
    typeof portfolio?.equity === 'number' && Number.isFinite(portfolio.equity) ? portfolio.equity : undefined;
  const heat: Partial<Building<'risk.portfolio_heat_warning'>> = { 'trading.position.count': health.positionCount };
  if (health.heat !== undefined) heat['risk.heat'] = health.heat;
  if (health.openRisk !== undefined) heat['risk.amount'] = health.openRisk;
  if (limits.options.heat !== undefined) heat['risk.heat.max'] = limits.options.heat.max;
  if (equity !== undefined) heat['trading.equity'] = equity;
  setName(heat, limits.options);
  Object.assign(attributes, heat);
  setResults(attributes, health.limits, limits);
  if (health.unevaluated.length > 0) attributes['risk.limits.unevaluated'] = health.unevaluated;
  if (health.warnings.length > 0) attributes['risk.warnings'] = health.warnings;
  const events: CatalogEvent[] = [catalogEvent('risk.portfolio_health', attributes)];
  for (const row of health.limits) {
    if (row.outcome !== 'warn') continue;
    const warning: Building<'risk.portfolio_limit.warning'> = {
      'risk.limit.type': row.type,
      'risk.reason.code': row.code,
    };
    setResult(warning, row);
    setName(warning, limits.options);
    events.push(catalogEvent('risk.portfolio_limit.warning', warning));
  }
  if (heatCode !== '' && health.heat !== undefined) {
    events.push(
      catalogEvent('risk.portfolio_heat_warning', { ...heat, 'risk.heat': health.heat, 'risk.reason.code': heatCode }),
    );
  }
  return events;
}
