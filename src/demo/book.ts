/**
 * The book of the demo: four sleeves follow the trend over 20, 50, 100 and 200 days on the real prices of the S&P 500,
 * through the public API alone. What a trading service would do with risktrail, this does.
 */
import { createHash } from 'node:crypto';
import type { Clock, ManualClock } from '../core/clock.ts';
import { isRiskTrailError } from '../core/errors.ts';
import type { CircuitBreaker } from '../runtime/circuit-breaker.ts';
import type { PortfolioLimits } from '../runtime/portfolio-limits.ts';
import type { RiskTrail } from '../runtime/risk-trail.ts';
import type { TrailingStopDecision, TrailingStops } from '../runtime/trailing-stops.ts';
import type { BrokerOrder, SimulatedBroker } from './broker.ts';
import { type DailyBar, pathOf } from './market.ts';
import { type TrendSignal, trendSignal } from './trend.ts';

const SYMBOL = 'SPX';
const ACCOUNT = 'DEMO-1';
const START_EQUITY = 1_000_000;
/** Days of the trend, and how many average ranges the stop stands from the entry. */
const SLEEVES = [
  { days: 20, stopRanges: 2 },
  { days: 50, stopRanges: 2.5 },
  { days: 100, stopRanges: 3 },
  { days: 200, stopRanges: 3.5 },
] as const;
const ENTRY_ATTEMPTS = 3;
const MINUTE_MS = 60_000;
const DAY_MS = 86_400_000;
/** On wider days prices are taken at more points between the four that are known. */
const WIDE_RANGE = 0.015;
/** When the declared path turns, in minutes after the open: extreme, other extreme, close. */
const TURNS = [0, 120, 315, 390] as const;

interface Holding {
  readonly id: string;
  readonly side: 'long' | 'short';
  readonly quantity: number;
  readonly entryPrice: number;
  readonly enteredAtMs: number;
  /** Set once its stop fired: it must be closed, as often as that has to be tried. */
  exit?: TrailingStopDecision;
  attempts: number;
}

interface Sleeve {
  readonly strategyId: string;
  readonly days: number;
  readonly stopRanges: number;
  signal: TrendSignal | undefined;
  holding: Holding | undefined;
}

/** How fast the market goes, and how time passes for the book. */
export interface Pace {
  /** How long a minute of the market takes, in milliseconds of the trail's clock. */
  readonly minuteMs: number;
  /** How long from one trading day's opening to the next. */
  readonly dayMs: number;
  /** Where market days are shorter than real ones, so many of them share a real day's loss limit. */
  readonly dailyLossShare: number;
  /** Lets time pass. @param untilMs epoch milliseconds of the trail's clock; what is past already takes no time */
  pass(untilMs: number): void | Promise<void>;
}

/** Simulated time: the market's own. */
export function simulatedPace(clock: ManualClock): Pace {
  return {
    minuteMs: MINUTE_MS,
    dayMs: DAY_MS,
    dailyLossShare: 1,
    pass: (untilMs) => clock.set(Math.max(clock.now(), untilMs)),
  };
}

/** What the book came to. */
export interface BookResult {
  readonly equity: number;
  readonly trades: number;
  readonly stopsFired: number;
  readonly entriesDenied: number;
  readonly ordersFailed: number;
}

export class TrendBook {
  readonly #trail: RiskTrail;
  readonly #clock: Clock;
  readonly #pace: Pace;
  readonly #simulator: SimulatedBroker;
  readonly #broker: CircuitBreaker;
  readonly #bookBreaker: CircuitBreaker;
  readonly #stops: TrailingStops;
  readonly #limits: PortfolioLimits;
  readonly #sleeves: Sleeve[] = SLEEVES.map(({ days, stopRanges }) => ({
    strategyId: `trend-${days}`,
    days,
    stopRanges,
    signal: undefined,
    holding: undefined,
  }));
  readonly #closes: number[] = [];
  readonly #ranges: number[] = [];
  #cash = START_EQUITY;
  #price = Number.NaN;
  #orders = 0;
  #trades = 0;
  #stopsFired = 0;
  #entriesDenied = 0;
  #ordersFailed = 0;

  constructor(trail: RiskTrail, clock: Clock, simulator: SimulatedBroker, pace: Pace) {
    const { minuteMs, dayMs, dailyLossShare } = pace;
    this.#trail = trail;
    this.#clock = clock;
    this.#pace = pace;
    this.#simulator = simulator;
    this.#broker = trail.circuitBreaker('broker', {
      failureThreshold: 5,
      windowMs: 60 * minuteMs,
      cooldownMs: 30 * minuteMs,
    });
    this.#bookBreaker = trail.circuitBreaker('book', {
      stopLossCount: { count: 3, windowMs: dayMs },
      dailyLoss: { max: 0.025 * START_EQUITY * dailyLossShare, timeZone: 'America/New_York' },
      losingStreak: { count: 8 },
      cooldownMs: 3 * dayMs,
    });
    this.#stops = trail.trailingStops({ trailingPct: 4, activationPct: 2, priceSource: 'last' });
    this.#limits = trail.portfolioLimits({
      portfolioDelta: { max: 1500, warnAt: 0.8 },
      positionPercent: { max: 125, warnAt: 0.9, mode: 'cap' },
      totalExposure: { maxPercent: 150, warnAt: 0.8, mode: 'cap' },
      positionCount: { max: 4 },
      orderNotional: { max: 0.6 * START_EQUITY },
      priceCollar: { max: 5 },
      leverage: { max: 2, warnAt: 0.7 },
      dailyLoss: {
        max: 0.02 * START_EQUITY * dailyLossShare,
        warnAt: 0.5,
        timeZone: 'America/New_York',
        onBreach: 'REDUCING',
      },
      drawdown: { max: 0.35, warnAt: 0.6, onBreach: 'REDUCING' },
      orderRate: { max: 20, windowMs: minuteMs },
      duplicateOrder: { windowMs: minuteMs / 60 },
      quantityStep: 1,
      heat: { max: 8 },
    });
  }

  result(): BookResult {
    return {
      equity: Math.round(this.#equity()),
      trades: this.#trades,
      stopsFired: this.#stopsFired,
      entriesDenied: this.#entriesDenied,
      ordersFailed: this.#ordersFailed,
    };
  }

  /** One trading day: entries at the open, prices along the declared path, candle and signals at the close. */
  async trade(bar: DailyBar): Promise<void> {
    await this.#pace.pass(bar.opensAtMs);
    this.#price = bar.open;
    for (const sleeve of this.#sleeves) if (sleeve.holding?.exit !== undefined) await this.#tryExit(sleeve);
    await this.#observe(bar.open);
    for (const sleeve of this.#sleeves) {
      if (sleeve.signal !== undefined && sleeve.holding === undefined) await this.#enter(sleeve, sleeve.signal, bar);
      sleeve.signal = undefined;
    }
    for (const [minutes, price] of pricesOf(bar)) {
      await this.#pace.pass(bar.opensAtMs + minutes * this.#pace.minuteMs);
      await this.#observe(price);
    }
    await this.#pace.pass(bar.closesAtMs);
    this.#closeDay(bar);
  }

  #context(sleeve: Sleeve, executionId: string) {
    // A UUID made from the execution: the same in every run, and the trace id of all that belongs to it that day.
    const digest = createHash('sha256').update(`${executionId} ${this.#clock.now()}`).digest('hex');
    const correlationId = `${digest.slice(0, 8)}-${digest.slice(8, 12)}-${digest.slice(12, 16)}-${digest.slice(16, 20)}-${digest.slice(20, 32)}`;
    return { accountId: ACCOUNT, strategyId: sleeve.strategyId, executionId, symbol: SYMBOL, correlationId };
  }

  /** A price is seen: stops look at it, and what they fire is closed. */
  async #observe(price: number): Promise<void> {
    this.#price = price;
    // In a live service a timer sees to what is due by time alone; simulated time has none.
    this.#trail.gate.tick();
    this.#broker.tick();
    this.#bookBreaker.tick();
    this.#limits.tick();
    for (const decision of this.#stops.tick(SYMBOL, price)) {
      if (decision.action !== 'TRIGGER') continue;
      const sleeve = this.#sleeves.find((one) => one.holding?.id === decision.id);
      if (sleeve?.holding === undefined) continue;
      sleeve.holding.exit = decision;
      this.#stopsFired++;
    }
    for (const sleeve of this.#sleeves) if (sleeve.holding?.exit !== undefined) await this.#tryExit(sleeve);
  }

  async #enter(sleeve: Sleeve, signal: TrendSignal, bar: DailyBar): Promise<void> {
    const id = `${sleeve.strategyId}-${bar.date}`;
    await this.#trail.withContext(this.#context(sleeve, id), async () => {
      const { side } = signal;
      const price = bar.open;
      const distance = sleeve.stopRanges * signal.range;
      const stopLoss = round(side === 'long' ? price - distance : price + distance);
      this.#trail.emit('strategy.signal_processed', {
        'trading.symbol': SYMBOL,
        'trading.signal.type': `${side}_entry`,
        'trading.entry_price': price,
        'trading.stop_loss': stopLoss,
        'trading.interval': '1d',
      });
      const verdict = this.#trail.validateSignal(
        { symbol: SYMBOL, signalType: `${side}_entry`, entryPrice: price, stopLoss },
        { position: 0, minStopDistancePercent: 0.5, maxStopDistancePercent: 15 },
      );
      if (!verdict.allowed) return;
      const size = this.#trail.sizePosition({
        symbol: SYMBOL,
        side,
        equity: this.#equity(),
        riskPercent: 1,
        entryPrice: price,
        stopPrice: stopLoss,
        leverage: 1,
        maxPositionPercent: 40,
        quantityStep: 1,
        minQuantity: 1,
      });
      if (size.quantity === 0) return;
      const orderSide = side === 'long' ? 'buy' : 'sell';
      const orderId = this.#nextOrderId();
      const decision = this.#limits.checkEntry(this.#portfolio(), {
        symbol: SYMBOL,
        side: orderSide,
        quantity: size.quantity,
        price,
        referencePrice: price,
        orderId,
        clientOrderId: orderId,
        role: 'entry',
        accountId: ACCOUNT,
        strategyId: sleeve.strategyId,
      });
      if (!decision.allowed) {
        this.#entriesDenied++;
        return;
      }
      const order = { id: orderId, symbol: SYMBOL, side: orderSide, quantity: decision.quantity, price } as const;
      for (let attempt = 0; attempt < ENTRY_ATTEMPTS; attempt++) {
        if (attempt > 0) await this.#pace.pass(this.#clock.now() + this.#pace.minuteMs);
        if (!(await this.#send(order, 'entry', attempt))) continue;
        this.#opened(sleeve, { id, side, quantity: order.quantity, entryPrice: price, stopLoss });
        return;
      }
    });
  }

  #opened(
    sleeve: Sleeve,
    entry: { id: string; side: 'long' | 'short'; quantity: number; entryPrice: number; stopLoss: number },
  ): void {
    const { id, side, quantity, entryPrice, stopLoss } = entry;
    this.#limits.recordFill({ symbol: SYMBOL, side: side === 'long' ? 'buy' : 'sell', quantity, price: entryPrice });
    this.#trail.emit('trade.entry', {
      'trading.symbol': SYMBOL,
      'trading.side': side === 'long' ? 'buy' : 'sell',
      'trading.quantity': quantity,
      'trading.price': entryPrice,
      'trading.stop_loss': stopLoss,
    });
    const distance = round(Math.abs(entryPrice - stopLoss));
    this.#stops.add({
      id,
      symbol: SYMBOL,
      side,
      entryPrice,
      quantity,
      executionId: id,
      trailingPrice: distance,
      hardStopPrice: stopLoss,
    });
    sleeve.holding = { id, side, quantity, entryPrice, enteredAtMs: this.#clock.now(), attempts: 0 };
  }

  async #tryExit(sleeve: Sleeve): Promise<void> {
    const { holding } = sleeve;
    if (holding?.exit === undefined) return;
    const { exit } = holding;
    await this.#trail.withContext(this.#context(sleeve, holding.id), async () => {
      const order: BrokerOrder = {
        id: this.#nextOrderId(),
        symbol: SYMBOL,
        side: holding.side === 'long' ? 'sell' : 'buy',
        quantity: holding.quantity,
        price: this.#price,
      };
      if (!(await this.#send(order, 'stop_loss', holding.attempts++))) return;
      const points = holding.side === 'long' ? order.price - holding.entryPrice : holding.entryPrice - order.price;
      const pnl = round(points * holding.quantity);
      this.#cash += pnl;
      this.#trades++;
      sleeve.holding = undefined;
      const attributes = {
        'trading.symbol': SYMBOL,
        'trading.side': order.side,
        'trading.quantity': order.quantity,
        'trading.price': order.price,
        'trading.pnl': pnl,
        'trading.entry_price': holding.entryPrice,
        'trading.hold_time_minutes': Math.round((this.#clock.now() - holding.enteredAtMs) / this.#pace.minuteMs),
      } as const;
      const cause = exit.recordId === undefined ? {} : { 'risk.cause.record_id': exit.recordId };
      this.#trail.emit('trade.stop_loss_hit', {
        ...attributes,
        ...cause,
        ...(exit.stopPrice === undefined ? {} : { 'trading.stop_loss': exit.stopPrice }),
      });
      this.#trail.emit('trade.exit', { ...attributes, ...cause, 'risk.reason': `${exit.trigger ?? 'trailing'} stop` });
      this.#stops.remove(holding.id, 'position closed');
      this.#limits.recordFill({ symbol: SYMBOL, side: order.side, quantity: order.quantity, price: order.price, pnl });
      this.#bookBreaker.recordTrade({ pnl, stopLoss: true });
    });
  }

  /** Sends one order through the breaker. @returns whether it was filled */
  async #send(order: BrokerOrder, role: 'entry' | 'stop_loss', attempt: number): Promise<boolean> {
    const attributes = {
      'trading.symbol': order.symbol,
      'trading.side': order.side,
      'trading.quantity': order.quantity,
      'trading.price': order.price,
      'trading.order.id': order.id,
      'trading.order.role': role,
    } as const;
    if (attempt > 0) this.#trail.emit('api.retry_attempt', { operation: 'place_order', 'retry.count': attempt });
    this.#trail.emit('order.intent', attributes);
    try {
      const { tradeId } = await this.#broker.execute(() => this.#simulator.placeOrder(order), {
        reduces: role === 'stop_loss',
      });
      this.#trail.emit('order.placed', attributes);
      this.#trail.emit('order.filled', { ...attributes, 'trading.trade.id': tradeId });
      return true;
    } catch (error) {
      this.#ordersFailed++;
      const known = error instanceof Error ? error : new Error(String(error));
      const refused = isRiskTrailError(error, 'CIRCUIT_BREAKER_REFUSED');
      this.#trail.emit(known.name === 'BrokerTimeout' ? 'order.outcome_unknown' : 'order.rejected', {
        ...attributes,
        'error.type': refused ? error.code : known.name,
        'error.message': known.message,
      });
      return false;
    }
  }

  #closeDay(bar: DailyBar): void {
    this.#price = bar.close;
    this.#closes.push(bar.close);
    this.#ranges.push(bar.high - bar.low);
    this.#trail.emit('market.candle_closed', {
      'trading.symbol': SYMBOL,
      'trading.open': bar.open,
      'trading.high': bar.high,
      'trading.low': bar.low,
      'trading.close': bar.close,
      'trading.volume': bar.volume,
      'trading.interval': '1d',
    });
    const equity = round(this.#equity());
    this.#limits.recordEquity(equity);
    for (const sleeve of this.#sleeves) {
      if (sleeve.holding === undefined) sleeve.signal = trendSignal(this.#closes, this.#ranges, sleeve.days);
    }
    const day = this.#closes.length;
    if (day % 21 === 0) {
      this.#limits.health(this.#portfolio());
      this.#trail.snapshot();
    }
  }

  #portfolio() {
    const positions = this.#sleeves.flatMap(({ holding }) => {
      if (holding === undefined) return [];
      const stop = this.#stops.get(holding.id);
      const stopPrice = stop?.stopPrice ?? stop?.hardStopPrice;
      return [
        {
          symbol: SYMBOL,
          quantity: holding.side === 'long' ? holding.quantity : -holding.quantity,
          price: this.#price,
          priceTimeMs: this.#clock.now(),
          ...(stopPrice === undefined ? {} : { stopPrice }),
        },
      ];
    });
    return { equity: round(this.#equity()), positions };
  }

  #equity(): number {
    let equity = this.#cash;
    for (const { holding } of this.#sleeves) {
      if (holding === undefined) continue;
      equity += (holding.side === 'long' ? 1 : -1) * (this.#price - holding.entryPrice) * holding.quantity;
    }
    return equity;
  }

  #nextOrderId(): string {
    this.#orders++;
    return `D${String(this.#orders).padStart(6, '0')}`;
  }
}

const round = (value: number): number => Math.round(value * 100) / 100;

/** Minutes after the open and prices along the declared path, the open left out. */
function pricesOf(bar: DailyBar): readonly (readonly [minutes: number, price: number])[] {
  const corners =
    pathOf(bar) === 'OHLC' ? [bar.open, bar.high, bar.low, bar.close] : [bar.open, bar.low, bar.high, bar.close];
  const steps = (bar.high - bar.low) / bar.open > WIDE_RANGE ? 4 : 1;
  const prices: [number, number][] = [];
  for (let leg = 1; leg < corners.length; leg++) {
    for (let step = 1; step <= steps; step++) {
      const share = step / steps;
      const minutes = TURNS[leg - 1]! + (TURNS[leg]! - TURNS[leg - 1]!) * share;
      prices.push([Math.round(minutes), round(corners[leg - 1]! + (corners[leg]! - corners[leg - 1]!) * share)]);
    }
  }
  return prices;
}
