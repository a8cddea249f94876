/** The sums over a portfolio that the limits are made of, taken in one pass over positions and pending orders. */
import type { GroupLimit } from './options.ts';
import { forEachPending, hasPending } from './pending.ts';
import {
  heldQuantity,
  type Instrument,
  type LimitOrder,
  type OrderParts,
  type Portfolio,
  type Position,
} from './portfolio.ts';
import type { LimitsState, PendingOrder } from './state.ts';

/** What a set of limits needs added up. */
export interface ExposureNeeds {
  readonly value: boolean;
  readonly greeks: boolean;
  /** The group limits, and which field of an instrument names the group where the limit does not. */
  readonly groups: readonly { readonly limit: GroupLimit; readonly field: 'sector' | 'correlationGroup' }[];
  readonly marginRate: number;
  readonly maxPriceAgeMs: number;
  readonly denyMissingGreeks: boolean;
}

/**
 * A sum with both signs. What is pending may be filled or not, so it counts only where it makes things worse: `up` for an
 * order that raises the sum, `down` for one that lowers it.
 */
export interface SignedSum {
  /** Positions as they stand. */
  now: number;
  /** Positions after the reducing part of the order. */
  base: number;
  /** What pending orders may add. */
  up: number;
  /** What pending orders may take away, ≥ 0. */
  down: number;
  /** Change per unit that the order adds, with its sign. */
  slope: number;
}

/** A sum of absolute values. */
export interface GrossSum {
  /** Positions and pending orders as they stand. */
  now: number;
  /** The same after the reducing part of the order. */
  base: number;
  /** Change per unit that the order adds, ≥ 0. */
  slope: number;
}

/** Everything that the limits look at, for one order. */
export interface Exposure {
  readonly order: LimitOrder;
  readonly state: LimitsState;
  readonly now: number;
  readonly equity: number;
  readonly adding: number;
  /** Price by which the order is valued; NaN where there is none. */
  readonly price: number;
  /** Notional per unit of the order; 0 without a price. */
  readonly unit: number;
  /** Market price for the collar; NaN where there is none. */
  readonly reference: number;
  /** Age of the market price; NaN where its time is not known. */
  readonly priceAgeMs: number;
  /** Code of what keeps values from being added up; `''` where nothing does. */
  valueCode: string;
  greeksCode: string;
  readonly delta: SignedSum;
  readonly gamma: SignedSum;
  readonly vega: SignedSum;
  readonly symbolDelta: SignedSum;
  readonly gross: GrossSum;
  readonly position: GrossSum;
  readonly margin: GrossSum;
  /** Beside {@link ExposureNeeds.groups}; the sum of a group that the order is not in stays 0. */
  readonly groups: readonly (GrossSum & { readonly group: string | undefined })[];
  /** Open positions now, what pending orders will open included; and after the order. */
  count: number;
  countAfter: number;
}

/** A price, or 0 where there is none. */
const orZero = (price: number): number => (Number.isNaN(price) ? 0 : price);
const signed = (): SignedSum => ({ now: 0, base: 0, up: 0, down: 0, slope: 0 });
const gross = (): GrossSum => ({ now: 0, base: 0, slope: 0 });

/** Group of an instrument under a group limit. */
export function groupOf(
  needs: ExposureNeeds['groups'][number],
  symbol: string,
  instrument: Instrument,
  own?: Instrument,
): string | undefined {
  const { groups } = needs.limit;
  if (groups !== undefined && Object.hasOwn(groups, symbol)) return groups[symbol];
  return instrument[needs.field] ?? own?.[needs.field] ?? undefined;
}

/** Why a position's price cannot be used; `''` where it can. */
export function positionPriceProblem(position: Position, needs: ExposureNeeds, now: number): string {
  if (!(typeof position.price === 'number' && position.price > 0)) return 'PRICE_MISSING';
  const time = position.priceTimeMs;
  return typeof time === 'number' && now - time > needs.maxPriceAgeMs ? 'PRICE_STALE' : '';
}

/**
 * Adds up a portfolio for one order.
 * @param portfolio a usable one: `portfolioProblem` found nothing
 * @param order a usable one
 * @param now epoch milliseconds
 */
export function collectExposure(
  needs: ExposureNeeds,
  state: LimitsState,
  portfolio: Portfolio,
  order: LimitOrder,
  parts: OrderParts,
  now: number,
): Exposure {
  const { positions } = portfolio;
  const { symbol } = order;
  let own: Position | undefined;
  for (let index = 0; index < positions.length && own === undefined; index += 1) {
    if (positions[index]!.symbol === symbol && positions[index]!.quantity !== 0) own = positions[index];
  }
  const reference = order.referencePrice ?? own?.price ?? Number.NaN;
  const priceTime = order.priceTimeMs ?? (order.referencePrice == null ? own?.priceTimeMs : undefined);
  const price = order.price ?? reference;
  const exposure: Exposure = {
    order,
    state,
    now,
    equity: portfolio.equity ?? Number.NaN,
    adding: parts.adding,
    price,
    unit: (order.multiplier ?? own?.multiplier ?? 1) * orZero(price),
    reference,
    priceAgeMs: priceTime == null ? Number.NaN : Math.max(0, now - priceTime),
    valueCode: '',
    greeksCode: '',
    delta: signed(),
    gamma: signed(),
    vega: signed(),
    symbolDelta: signed(),
    gross: gross(),
    position: gross(),
    margin: gross(),
    groups: needs.groups.map((one) => ({ now: 0, base: 0, slope: 0, group: groupOf(one, symbol, order, own) })),
    count: 0,
    countAfter: 0,
  };
  addPositions(needs, exposure, positions);
  const ownPending = hasPending(state, portfolio) && addPending(needs, exposure, portfolio, own, parts);
  addOrder(needs, exposure, own, parts, ownPending);
  if (portfolio.marginUsed != null) {
    const { margin } = exposure;
    const released = margin.now - margin.base;
    margin.now = portfolio.marginUsed;
    margin.base = Math.max(0, portfolio.marginUsed - released);
  }
  return exposure;
}

function addPositions(needs: ExposureNeeds, sums: Exposure, positions: readonly Position[]): void {
  const { symbol } = sums.order;
  const underlying = sums.order.underlying ?? undefined;
  let held = false;
  for (let index = 0; index < positions.length; index += 1) {
    const position = positions[index]!;
    const { quantity } = position;
    if (quantity === 0) continue;
    const isOwn = position.symbol === symbol;
    if (isOwn) held = true;
    else sums.count += 1;
    const units = quantity * (position.multiplier ?? 1);
    if (needs.greeks) {
      if (needs.denyMissingGreeks && position.delta == null) sums.greeksCode = 'GREEKS_MISSING';
      const delta = units * (position.delta ?? 1);
      sums.delta.now += delta;
      sums.gamma.now += units * (position.gamma ?? 0);
      sums.vega.now += units * (position.vega ?? 0);
      if (isOwn || (position.underlying ?? position.symbol) === (underlying ?? symbol)) sums.symbolDelta.now += delta;
    }
    if (needs.value) {
      const problem = positionPriceProblem(position, needs, sums.now);
      let { price } = position;
      if (problem !== '') {
        // The order brings a price of its symbol along.
        if (isOwn && problem === 'PRICE_MISSING' && sums.price > 0) price = sums.price;
        else sums.valueCode = problem;
      }
      const value = Math.abs(units) * (price ?? 0);
      sums.gross.now += value;
      sums.margin.now += value * (position.marginRate ?? needs.marginRate);
      if (isOwn) sums.position.now += value;
      for (let at = 0; at < needs.groups.length; at += 1) {
        const group = sums.groups[at]!;
        if (group.group !== undefined && groupOf(needs.groups[at]!, position.symbol, position) === group.group) {
          group.now += value;
        }
      }
    }
  }
  if (held) sums.count += 1;
}

/** Adds what pending orders may open; says whether one of them is in the order's own symbol. */
function addPending(
  needs: ExposureNeeds,
  sums: Exposure,
  portfolio: Portfolio,
  own: Position | undefined,
  parts: OrderParts,
): boolean {
  let ownPending = false;
  const opened = new Set<string>();
  const left = parts.held === 0 ? 0 : parts.held - Math.sign(parts.held) * parts.reducing;
  forEachPending(sums.state, portfolio, sums.order, (pending) => {
    if (pending.reduceOnly === true) return;
    const isOwn = pending.symbol === sums.order.symbol;
    const position = isOwn
      ? own
      : portfolio.positions.find((one) => one.symbol === pending.symbol && one.quantity !== 0);
    // In the order's own symbol, what its reducing part has closed can't be closed again.
    const held = isOwn ? left : position === undefined ? 0 : heldQuantity(portfolio, pending.symbol);
    const buys = pending.side === 'buy';
    const adding = pending.quantity - Math.min(pending.quantity, Math.max(0, buys ? -held : held));
    if (adding === 0) return;
    if (isOwn) ownPending = true;
    else if (position === undefined && !opened.has(pending.symbol)) {
      opened.add(pending.symbol);
      sums.count += 1;
    }
    addPendingSums(needs, sums, pending, position, adding);
  });
  return ownPending;
}

function addPendingSums(
  needs: ExposureNeeds,
  sums: Exposure,
  pending: PendingOrder,
  position: Position | undefined,
  adding: number,
): void {
  const { order } = sums;
  const isOwn = pending.symbol === order.symbol;
  const units = adding * (pending.multiplier ?? position?.multiplier ?? 1);
  if (needs.greeks) {
    const delta = pending.delta ?? position?.delta;
    if (needs.denyMissingGreeks && delta == null) sums.greeksCode = 'GREEKS_MISSING';
    const sign = pending.side === 'buy' ? units : -units;
    addSide(sums.delta, sign * (delta ?? 1));
    addSide(sums.gamma, sign * (pending.gamma ?? position?.gamma ?? 0));
    addSide(sums.vega, sign * (pending.vega ?? position?.vega ?? 0));
    const underlying = pending.underlying ?? position?.underlying ?? pending.symbol;
    if (isOwn || underlying === (order.underlying ?? order.symbol)) addSide(sums.symbolDelta, sign * (delta ?? 1));
  }
  if (needs.value) {
    const price = pending.price ?? pending.referencePrice ?? position?.price ?? (isOwn ? sums.price : Number.NaN);
    if (!(price > 0)) sums.valueCode = 'PRICE_MISSING';
    const value = units * orZero(price);
    sums.gross.now += value;
    sums.margin.now += value * (pending.marginRate ?? position?.marginRate ?? needs.marginRate);
    if (isOwn && pending.side === order.side) sums.position.now += value;
    for (let at = 0; at < needs.groups.length; at += 1) {
      const group = sums.groups[at]!;
      if (group.group === undefined) continue;
      if (groupOf(needs.groups[at]!, pending.symbol, pending, position) === group.group) group.now += value;
    }
  }
}

function addSide(sum: SignedSum, change: number): void {
  if (change > 0) sum.up += change;
  else sum.down -= change;
}

/** The order itself: what its reducing part takes away, and what each unit of its adding part brings. */
function addOrder(
  needs: ExposureNeeds,
  sums: Exposure,
  own: Position | undefined,
  parts: OrderParts,
  ownPending: boolean,
): void {
  const { order } = sums;
  const buys = order.side === 'buy' ? 1 : -1;
  const multiplier = order.multiplier ?? own?.multiplier ?? 1;
  const closed = parts.held === 0 ? 0 : Math.min(1, parts.reducing / Math.abs(parts.held));
  if (needs.greeks) {
    const delta = order.delta ?? own?.delta;
    if (needs.denyMissingGreeks && delta == null) sums.greeksCode = 'GREEKS_MISSING';
    setSigned(sums.delta, own, 'delta', parts, closed, buys * multiplier * (delta ?? 1), 1);
    setSigned(sums.gamma, own, 'gamma', parts, closed, buys * multiplier * (order.gamma ?? own?.gamma ?? 0), 0);
    setSigned(sums.vega, own, 'vega', parts, closed, buys * multiplier * (order.vega ?? own?.vega ?? 0), 0);
    setSigned(sums.symbolDelta, own, 'delta', parts, closed, sums.delta.slope, 1);
  }
  if (needs.value) {
    const { unit } = sums;
    const rate = order.marginRate ?? own?.marginRate ?? needs.marginRate;
    const units = own === undefined ? 0 : Math.abs(parts.held) * closed * (own.multiplier ?? 1);
    const released = units * (own?.price ?? orZero(sums.price));
    setGross(sums.gross, released, unit);
    setGross(sums.position, released, unit);
    setGross(sums.margin, released * (own?.marginRate ?? needs.marginRate), unit * rate);
    for (const group of sums.groups) if (group.group !== undefined) setGross(group, released, unit);
  }
  const openNow = parts.held !== 0 || own !== undefined;
  const others = sums.count - (openNow ? 1 : 0);
  if (!openNow && ownPending) sums.count += 1;
  const staysOpen = (openNow && closed < 1) || ownPending;
  sums.countAfter = others + (staysOpen || parts.adding > 0 ? 1 : 0);
}

function setSigned(
  sum: SignedSum,
  own: Position | undefined,
  greek: 'delta' | 'gamma' | 'vega',
  parts: OrderParts,
  closed: number,
  slope: number,
  fallback: number,
): void {
  const held = own === undefined ? 0 : parts.held * (own.multiplier ?? 1) * (own[greek] ?? fallback);
  sum.base = sum.now - held * closed;
  sum.slope = slope;
}

function setGross(sum: GrossSum, released: number, slope: number): void {
  // Rounding must not leave less than nothing behind.
  sum.base = Math.max(0, sum.now - released);
  sum.slope = slope;
}
