/** Every kind of limit as a small evaluator. */
import type { Exposure, ExposureNeeds, GrossSum, SignedSum } from './exposure.ts';
import type { GroupLimit, PortfolioLimitsOptions } from './options.ts';
import { dailyLoss, drawdownRatio } from './state.ts';

/** Name of a limit in events: the option's name in snake_case; `totalExposure.maxPercent` is `total_exposure_percent`. */
export type LimitType =
  | 'trading_state'
  | 'price'
  | 'portfolio_delta'
  | 'portfolio_gamma'
  | 'portfolio_vega'
  | 'symbol_delta'
  | 'position_percent'
  | 'sector_percent'
  | 'correlated_percent'
  | 'total_exposure'
  | 'total_exposure_percent'
  | 'position_count'
  | 'order_quantity'
  | 'order_notional'
  | 'price_collar'
  | 'leverage'
  | 'margin'
  | 'daily_loss'
  | 'drawdown'
  | 'message_rate'
  | 'order_rate'
  | 'duplicate_order'
  | 'repeated_order';

/** What an evaluator finds. The value is `base + slope × quantity that the order adds`, and linear in that quantity. */
export interface Measure {
  /** Value before the order. */
  current: number;
  /** Value after the reducing part of the order; below 0 where the order works against a sum of the other sign. */
  base: number;
  /** Change per unit that the order adds, ≥ 0. */
  slope: number;
  max: number;
  /** Whether the adding part makes the value worse: a limit that was passed before is no reason to refuse what helps. */
  worsens: boolean;
  /** Code of the input that is missing; `''` where the value could be found. */
  code: string;
  /** Symbol or group that the value is of, where the limit is per symbol or group. */
  subject: string | undefined;
}

export type Evaluator = (exposure: Exposure, measure: Measure) => void;

/** Makes the evaluators of one option; notes in `needs` what has to be added up for them. */
export type Maker<N extends keyof PortfolioLimitsOptions> = (
  limit: NonNullable<PortfolioLimitsOptions[N]>,
  needs: { groups: ExposureNeeds['groups'] },
) => readonly { readonly type: LimitType; readonly evaluate: Evaluator; readonly max?: number }[];

const one = (type: LimitType, evaluate: Evaluator) => [{ type, evaluate }];

const maxFor = (per: Readonly<Record<string, number>> | undefined, key: string | undefined, max: number): number =>
  per !== undefined && key !== undefined && Object.hasOwn(per, key) ? per[key]! : max;

/** A sum that may have both signs: only the side to which the order moves it can be exceeded by the order. */
function measureSigned(sum: SignedSum, code: string, m: Measure): void {
  m.code = code;
  if (sum.slope === 0) {
    m.current = Math.max(Math.abs(sum.now + sum.up), Math.abs(sum.now - sum.down));
    m.base = Math.max(Math.abs(sum.base + sum.up), Math.abs(sum.base - sum.down));
    m.worsens = false;
    return;
  }
  const rises = sum.slope > 0;
  m.current = Math.abs(rises ? sum.now + sum.up : sum.now - sum.down);
  m.base = rises ? sum.base + sum.up : sum.down - sum.base;
  m.slope = rises ? sum.slope : -sum.slope;
}

function measureGross(sum: GrossSum, exposure: Exposure, factor: number, m: Measure): void {
  m.code = exposure.price > 0 ? exposure.valueCode : 'PRICE_MISSING';
  m.current = sum.now * factor;
  m.base = sum.base * factor;
  m.slope = sum.slope * factor;
}

/** Factor that makes a value a share of equity; leaves the code of an equity that nothing can be a share of. */
function measureShare(sum: GrossSum, exposure: Exposure, factor: number, m: Measure): void {
  const { equity } = exposure;
  if (equity > 0) measureGross(sum, exposure, factor / equity, m);
  else m.code = equity <= 0 ? 'EQUITY_NOT_POSITIVE' : 'EQUITY_MISSING';
}

function measureRate(
  times: { size: number; at(index: number): number | undefined },
  now: number,
  windowMs: number,
  m: Measure,
) {
  // The oldest times may be past the window, as nothing was sent since: times only grow, so search for the border.
  let low = 0;
  let high = times.size;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (times.at(middle)! <= now - windowMs) low = middle + 1;
    else high = middle;
  }
  m.current = times.size - low;
  m.base = m.current + 1;
}

function likeOrders(exposure: Exposure, windowMs: number, sameClientId: boolean): number {
  const { order, now } = exposure;
  const { sent } = exposure.state;
  let count = 0;
  for (let index = sent.size - 1; index >= 0; index -= 1) {
    const other = sent.at(index)!;
    if (other.atMs <= now - windowMs) break;
    if (
      other.quantity === order.quantity &&
      other.symbol === order.symbol &&
      other.side === order.side &&
      other.price === (order.price ?? null) &&
      (!sameClientId || other.clientOrderId === (order.clientOrderId || null))
    ) {
      count += 1;
    }
  }
  return count;
}

function groupLimit(type: 'sector_percent' | 'correlated_percent', field: 'sector' | 'correlationGroup') {
  return (limit: GroupLimit, needs: { groups: ExposureNeeds['groups'] }) => {
    const at = needs.groups.length;
    needs.groups = [...needs.groups, { limit, field }];
    return one(type, (exposure, m) => {
      const sum = exposure.groups[at]!;
      m.subject = sum.group;
      if (sum.group === undefined) {
        m.worsens = false;
        return;
      }
      m.max = maxFor(limit.perGroup, sum.group, m.max);
      measureShare(sum, exposure, 100, m);
    });
  };
}

/** By option. */
export const KINDS: { readonly [N in keyof PortfolioLimitsOptions]?: Maker<N> } = {
  portfolioDelta: () => one('portfolio_delta', (e, m) => measureSigned(e.delta, e.greeksCode, m)),
  portfolioGamma: () => one('portfolio_gamma', (e, m) => measureSigned(e.gamma, e.greeksCode, m)),
  portfolioVega: () => one('portfolio_vega', (e, m) => measureSigned(e.vega, e.greeksCode, m)),
  symbolDelta: (limit) =>
    one('symbol_delta', (e, m) => {
      m.subject = e.order.underlying ?? e.order.symbol;
      m.max = maxFor(limit.perSymbol, m.subject, m.max);
      measureSigned(e.symbolDelta, e.greeksCode, m);
    }),
  positionPercent: (limit) =>
    one('position_percent', (e, m) => {
      m.subject = e.order.symbol;
      m.max = maxFor(limit.perSymbol, m.subject, m.max);
      measureShare(e.position, e, 100, m);
    }),
  sectorPercent: groupLimit('sector_percent', 'sector'),
  correlatedPercent: groupLimit('correlated_percent', 'correlationGroup'),
  totalExposure: (limit) => [
    ...(limit.max === undefined
      ? []
      : [{ type: 'total_exposure' as const, evaluate: (e: Exposure, m: Measure) => measureGross(e.gross, e, 1, m) }]),
    ...(limit.maxPercent === undefined
      ? []
      : [
          {
            type: 'total_exposure_percent' as const,
            max: limit.maxPercent,
            evaluate: (e: Exposure, m: Measure) => measureShare(e.gross, e, 100, m),
          },
        ]),
  ],
  positionCount: () =>
    one('position_count', (e, m) => {
      m.current = e.count;
      m.base = e.countAfter;
      m.worsens = e.countAfter > e.count;
    }),
  orderQuantity: (limit) =>
    one('order_quantity', (e, m) => {
      m.subject = e.order.symbol;
      m.max = maxFor(limit.perSymbol, m.subject, m.max);
      m.slope = 1;
    }),
  orderNotional: (limit) =>
    one('order_notional', (e, m) => {
      m.subject = e.order.symbol;
      m.max = maxFor(limit.perSymbol, m.subject, m.max);
      if (e.price > 0) m.slope = e.unit;
      else m.code = 'PRICE_MISSING';
    }),
  priceCollar: (limit) =>
    one('price_collar', (e, m) => {
      m.subject = e.order.symbol;
      m.max = maxFor(limit.perSymbol, m.subject, m.max);
      const { price } = e.order;
      // A market order has no price that could be far from the market.
      if (price == null) return;
      if (e.reference > 0) m.base = (Math.abs(price - e.reference) / e.reference) * 100;
      else m.code = 'REFERENCE_PRICE_MISSING';
    }),
  leverage: () => one('leverage', (e, m) => measureShare(e.gross, e, 1, m)),
  margin: () => one('margin', (e, m) => measureShare(e.margin, e, 100, m)),
  dailyLoss: () =>
    one('daily_loss', (e, m) => {
      m.current = dailyLoss(e.state);
      m.base = m.current;
    }),
  drawdown: () =>
    one('drawdown', (e, m) => {
      if (Number.isNaN(e.equity)) m.code = 'EQUITY_MISSING';
      m.current = drawdownRatio(e.state, e.equity);
      m.base = m.current;
    }),
  messageRate: (limit) =>
    one('message_rate', (e, m) => measureRate(e.state.messageTimes, e.now, limit.windowMs ?? 1000, m)),
  orderRate: (limit) => one('order_rate', (e, m) => measureRate(e.state.orderTimes, e.now, limit.windowMs ?? 1000, m)),
  duplicateOrder: (limit) =>
    one('duplicate_order', (e, m) => {
      m.subject = e.order.symbol;
      m.base = likeOrders(e, limit.windowMs ?? 1000, true);
    }),
  repeatedOrder: (limit) =>
    one('repeated_order', (e, m) => {
      m.subject = e.order.symbol;
      m.current = likeOrders(e, limit.windowMs ?? 1000, false);
      m.base = m.current + 1;
    }),
};
