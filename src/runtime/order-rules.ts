/**
 * Limits, gate and a breaker in front of every order of ccxt, by rules of the settings. Under `observe` what a rule would have
 * done is recorded and nothing else; under `enforce` a refused order is not sent. What only reduces risk always passes. Edits
 * are asked about where they raise an order's quantity or price.
 */
import { type CatalogEvent, catalogEvent } from '../catalog/events.ts';
import { RiskTrailError } from '../core/errors.ts';
import type { OrderCheck } from '../instrumentation/host.ts';
import type { OpenOrders } from '../risk/open-orders.ts';
import type { LimitOrder } from '../risk/portfolio-limits/portfolio.ts';
import type { CircuitBreaker, CircuitBreakerOptions, Permit } from './circuit-breaker.ts';
import type { LayerHost } from './layer-host.ts';
import { type Attributes, decimal, leftOf, openOrderOf, raisedOf, text } from './order-attributes.ts';
import { OrderMarket } from './order-market.ts';
import type { OrderRule, ReadOrderRule } from './order-rules-options.ts';
import type { LimitDecision, PortfolioLimits, PortfolioLimitsOptions } from './portfolio-limits.ts';

/** What the rules need of their trail. */
export interface OrderRulesHost {
  emit(event: CatalogEvent): string | undefined;
  report(error: unknown, where: string): void;
  /** Wall clock, epoch milliseconds. */
  now(): number;
  /** Orders that the trail knows to be open. */
  openOrders(): OpenOrders;
  /** @param within what the layer has in place of the trail's host */
  circuitBreaker(name: string, options: CircuitBreakerOptions, within: (host: LayerHost) => LayerHost): CircuitBreaker;
  portfolioLimits(options: PortfolioLimitsOptions, within: (host: LayerHost) => LayerHost): PortfolioLimits;
}

/** What a rule says of an order. */
interface Verdict {
  readonly allowed: boolean;
  readonly code: string;
  readonly reason: string;
  /** Limits that could not be computed, as type:CODE. */
  readonly unknown: readonly string[];
  readonly permit: Permit | undefined;
  readonly checkId: string | undefined;
}

/** Limits that nothing can be said of without the positions. */
const OF_POSITIONS: ReadonlySet<string> = new Set([
  ...['portfolio_delta', 'portfolio_gamma', 'portfolio_vega', 'symbol_delta', 'position_percent', 'sector_percent'],
  ...['correlated_percent', 'total_exposure', 'total_exposure_percent', 'position_count', 'leverage', 'margin'],
]);

const WHERE = 'order rules';
const isSide = (value: unknown): value is 'buy' | 'sell' => value === 'buy' || value === 'sell';

export class OrderRules {
  readonly #host: OrderRulesHost;
  readonly #rules: readonly Rule[];

  /** @throws RiskTrailError RESTORE_CONFIG_CHANGED */
  constructor(host: OrderRulesHost, rules: readonly OrderRule[]) {
    this.#host = host;
    this.#rules = rules.map((one) => new Rule(host, one as ReadOrderRule));
  }

  /**
   * Asks every rule that the orders fit, before they are sent. Never throws.
   * @param given orders of one call: with the first that is refused none is sent
   * @param change `edit` where they are changes of orders that are at the venue
   * @returns undefined where no rule is about them
   */
  check(exchange: object, given: readonly Attributes[], change?: 'edit'): OrderCheck | undefined {
    const orders = change === 'edit' ? this.#raised(given) : given;
    const asked: { rule: Rule; permit: Permit | undefined }[] = [];
    let refusal: RiskTrailError | undefined;
    const refused = new Map<Attributes, Attributes>();
    for (const order of orders) {
      for (const rule of this.#rules) {
        if (!rule.fits(order)) continue;
        const verdict = rule.judge(exchange, order);
        asked.push({ rule, permit: verdict.permit });
        const recordId = rule.tell(order, verdict);
        if (verdict.allowed || rule.mode === 'observe' || refused.has(order)) continue;
        const error = refusalOf(rule.name, order, verdict);
        refusal ??= error;
        refused.set(order, {
          ...{ 'risk.reason.code': verdict.code, 'risk.reason': verdict.reason },
          ...{ 'error.type': error.name, 'error.code': error.code, 'error.message': error.message },
          ...(recordId === undefined
            ? {}
            : { 'risk.cause.record_id': recordId, 'risk.cause.event': 'risk.order_rule' }),
        });
      }
    }
    if (asked.length === 0) return undefined;
    if (refusal !== undefined) {
      // A probe that was granted to another order of the call is not sent either: it neither succeeds nor fails.
      // An order whose change is refused stands as it was.
      if (change !== 'edit') for (const order of orders) this.#reject(order, refused.get(order) ?? TOGETHER);
      return { refusal };
    }
    return {
      done: (failed, error) => {
        for (const { rule, permit } of asked) rule.came(permit, failed, error);
      },
    };
  }

  /** Of edits those that raise what may be filled, or its price, as orders of what is left to be filled. Never throws. */
  #raised(edits: readonly Attributes[]): readonly Attributes[] {
    try {
      const open = this.#host.openOrders();
      return edits.map((edit) => raisedOf(edit, openOrderOf(open, edit))).filter((one) => one !== undefined);
    } catch (error) {
      this.#host.report(error, WHERE);
      return edits;
    }
  }

  #reject(order: Attributes, why: Attributes): void {
    this.#host.emit({ name: 'order.rejected', attributes: { ...order, ...why } } as unknown as CatalogEvent);
  }

  /** A read of an exchange was answered. Never throws. */
  saw(exchange: object, operation: string, args: readonly unknown[], result: unknown): void {
    this.#each((rule) => rule.saw(exchange, operation, args, result));
  }

  /** An event was recorded. Never throws. */
  recorded(name: string, attributes: Attributes): void {
    if (!name.startsWith('order.')) return;
    this.#each((rule) => rule.recorded(name, attributes));
  }

  #each(act: (rule: Rule) => void): void {
    for (const rule of this.#rules) {
      try {
        act(rule);
      } catch (error) {
        this.#host.report(error, WHERE);
      }
    }
  }
}

/** Why an order was not sent that no rule refused. */
const TOGETHER = Object.freeze({
  'risk.reason.code': 'ORDER_REFUSED_TOGETHER',
  'risk.reason': 'another order of the same call was refused',
});

function refusalOf(rule: string, order: Attributes, { code, reason }: Verdict): RiskTrailError {
  const what = [order['trading.side'], order['trading.quantity'], order['trading.symbol']].filter(Boolean).join(' ');
  return new RiskTrailError('ORDER_REFUSED', { order: what, rule, code, reason });
}

class Rule {
  readonly name: string;
  readonly mode: 'observe' | 'enforce';
  readonly #host: OrderRulesHost;
  readonly #rule: ReadOrderRule;
  readonly #limits: PortfolioLimits;
  readonly #breaker: CircuitBreaker | undefined;
  /** By the venue's name: several objects of one venue are one account. */
  readonly #markets = new Map<string, OrderMarket>();

  constructor(host: OrderRulesHost, rule: ReadOrderRule) {
    this.#host = host;
    this.#rule = rule;
    this.name = rule.name;
    this.mode = rule.mode;
    const layer = `rule:${rule.name}`;
    const { limits = {}, breaker } = rule;
    const marked = (trail: LayerHost) => markedHost(trail, rule.mode);
    const observes = rule.mode === 'observe';
    const { dailyLoss, drawdown } = limits;
    const given: PortfolioLimitsOptions = {
      ...limits,
      // What only observes demands nothing of the gate.
      ...(observes && dailyLoss !== undefined ? { dailyLoss: { ...dailyLoss, onBreach: 'none' } } : {}),
      ...(observes && drawdown !== undefined ? { drawdown: { ...drawdown, onBreach: 'none' } } : {}),
      name: layer,
    };
    this.#limits = host.portfolioLimits(given, marked);
    if (breaker === undefined) return;
    const onOpen = observes ? 'none' : (breaker.onOpen ?? 'none');
    this.#breaker = host.circuitBreaker(layer, { ...breaker, onOpen }, marked);
  }

  fits(order: Attributes): boolean {
    const { exchanges, symbols } = this.#rule;
    const [venue, symbol] = [String(order['trading.venue']), order['trading.symbol']];
    return (
      (exchanges === undefined || exchanges.includes(venue)) &&
      (symbols === undefined || (typeof symbol === 'string' && symbols.includes(symbol)))
    );
  }

  /** Never throws: what fails in here is an order that nothing could be said of. */
  judge(exchange: object, order: Attributes): Verdict {
    try {
      return this.#judge(exchange, order);
    } catch (error) {
      this.#host.report(error, WHERE);
      return this.#unknown(['rule:CHECK_FAILED'], undefined, false);
    }
  }

  #judge(exchange: object, attributes: Attributes): Verdict {
    const order = orderOf(exchange, attributes, this.#market(attributes));
    const market = this.#market(attributes);
    const equity = this.#rule.equity ?? balance(market, this.#rule.equityCurrency);
    const positions = market.positions();
    const decision = this.#limits.checkEntry({ positions, ...(equity === undefined ? {} : { equity }) }, order);
    const unknown = this.#unknownOf(decision, market, order);
    const checkId = decision.recordId;
    // What only takes risk away, by the venue's word or by the positions that are known.
    const isReducing = order.reduceOnly === true || isClosing(positions, order);
    if (isReducing) {
      const permit = this.#breaker?.allow({ reduces: true });
      return { allowed: true, code: 'OK', reason: 'it only reduces risk', unknown: [], permit, checkId };
    }
    const limit = this.#refusal(decision, unknown);
    if (limit !== undefined) return { ...limit, unknown, permit: this.#observed(), checkId };
    if (unknown.length > 0 && this.#rule.onUnknown === 'deny') return this.#unknown(unknown, checkId, true);
    const permit = this.#breaker?.allow();
    if (permit !== undefined && !permit.permitted) {
      const reason = `the circuit breaker rule:${this.name} is ${this.#breaker?.state}`;
      return { allowed: false, code: permit.code, reason, unknown, permit, checkId };
    }
    return { allowed: true, code: 'OK', reason: '', unknown, permit, checkId };
  }

  /** Of what is sent all the same the breaker hears, too. */
  #observed(): Permit | undefined {
    return this.mode === 'observe' ? this.#breaker?.allow() : undefined;
  }

  #unknown(unknown: readonly string[], checkId: string | undefined, asks: boolean): Verdict {
    const [type = '', code = ''] = unknown[0]!.split(':');
    const reason = `${type} cannot be computed: ${code}`;
    const allowed = this.#rule.onUnknown === 'pass';
    return { allowed, code, reason, unknown, permit: asks ? this.#observed() : undefined, checkId };
  }

  /** What a limit whose numbers are known, or the gate, refuses. */
  #refusal(
    { decision, results, code, reason, quantity }: LimitDecision,
    unknown: readonly string[],
  ): Pick<Verdict, 'allowed' | 'code' | 'reason'> | undefined {
    if (decision === 'allow') return undefined;
    const isKnown = (type: string) => !unknown.some((one) => one.startsWith(`${type}:`));
    const denies = results.find(({ outcome, type }) => outcome === 'deny' && isKnown(type));
    if (denies !== undefined) {
      const numbers = `${denies.type} would be ${denies.projected}, its limit is ${denies.max}`;
      const said = denies.code === code ? reason : numbers;
      return { allowed: false, code: denies.code, reason: said };
    }
    const caps = results.find(({ outcome, type }) => outcome === 'cap' && isKnown(type));
    // An order is never changed on its way: what is too large is refused whole.
    if (caps !== undefined) return { allowed: false, code: caps.code, reason: `at most ${quantity} may be sent` };
    return undefined;
  }

  #unknownOf({ unevaluated, results, code }: LimitDecision, market: OrderMarket, order: LimitOrder): readonly string[] {
    if (results.length === 0) return [`order:${code}`];
    const unknown = [...unevaluated];
    for (const { type } of results) {
      if (OF_POSITIONS.has(type) && !market.positionsKnown) unknown.push(`${type}:POSITIONS_UNKNOWN`);
      if (type === 'daily_loss' && market.resultUnknown) unknown.push('daily_loss:RESULT_UNKNOWN');
    }
    if (order.multiplier === null) unknown.push('order:CONTRACT_SIZE_UNKNOWN');
    return unknown;
  }

  /** Records what was decided, where it is more than that the order passes. @returns the event's record id */
  tell(order: Attributes, { allowed, code, reason, unknown, checkId }: Verdict): string | undefined {
    if (allowed && unknown.length === 0) return undefined;
    return this.#host.emit(
      catalogEvent('risk.order_rule', {
        ...order,
        'risk.rule.name': this.name,
        'risk.rule.mode': this.mode,
        'risk.decision': allowed ? 'allow' : 'deny',
        'risk.reason.code': code,
        ...(reason === '' ? {} : { 'risk.reason': reason }),
        ...(unknown.length === 0 ? {} : { 'risk.limits.unevaluated': unknown }),
        ...(checkId === undefined
          ? {}
          : { 'risk.cause.record_id': checkId, 'risk.cause.event': 'risk.portfolio_limit.check' }),
      } as never),
    );
  }

  /** The outcome of an order that was sent. */
  came(permit: Permit | undefined, failed: boolean, error: unknown): void {
    if (permit === undefined || !permit.permitted) return;
    if (failed) this.#breaker?.failure(error, permit);
    else this.#breaker?.success(permit);
  }

  saw(exchange: object, operation: string, args: readonly unknown[], result: unknown): void {
    const venue = text((exchange as { id?: unknown }).id) ?? 'unknown';
    if (this.#rule.exchanges?.includes(venue) === false) return;
    this.#marketOf(venue).saw(operation, args, result, this.#host.now());
  }

  recorded(name: string, attributes: Attributes): void {
    if (!this.fits(attributes) || attributes['trading.venue'] === undefined) return;
    const { 'trading.symbol': symbol, 'trading.side': side } = attributes;
    const orderId = text(attributes['trading.order.id']);
    const clientOrderId = text(attributes['trading.order.client_id']);
    const quantity =
      name === 'order.edited'
        ? leftOf(attributes, openOrderOf(this.#host.openOrders(), attributes))
        : decimal(attributes['trading.quantity']);
    const ids = {
      ...(orderId === undefined ? {} : { orderId }),
      ...(clientOrderId === undefined ? {} : { clientOrderId }),
    };
    if (name === 'order.cancelled' || name === 'order.rejected') {
      for (const id of [orderId, clientOrderId])
        if (id !== undefined && this.#isPending(id)) this.#limits.orderDone(id);
      return;
    }
    if (typeof symbol !== 'string' || !isSide(side) || quantity === undefined || quantity <= 0) return;
    const price = decimal(attributes['trading.price']);
    const priced = price === undefined || price <= 0 ? {} : { price };
    const market = this.#market(attributes);
    // One without an answer may be at the venue: it counts until something tells its end.
    const isOpen = name === 'order.placed' || name === 'order.outcome_unknown' || name === 'order.edited';
    if (isOpen && (orderId ?? clientOrderId) !== undefined) {
      const { price: referencePrice } = market.priceOf(symbol);
      const reference = referencePrice === undefined ? {} : { referencePrice };
      this.#limits.orderPlaced({ symbol, side, quantity, ...priced, ...reference, ...ids });
    } else if (name === 'order.filled') {
      const pnl = market.filled({ symbol, side, quantity, price: priced.price });
      this.#limits.recordFill({ symbol, side, quantity, ...priced, ...ids, ...(pnl === undefined ? {} : { pnl }) });
    }
  }

  #isPending(id: string): boolean {
    const { pending } = this.#limits.snapshot();
    return Object.values(pending).some((one) => one.orderId === id || one.clientOrderId === id);
  }

  #market(attributes: Attributes): OrderMarket {
    return this.#marketOf(String(attributes['trading.venue']));
  }

  #marketOf(venue: string): OrderMarket {
    let market = this.#markets.get(venue);
    if (market === undefined) {
      market = new OrderMarket(this.#rule.positions);
      this.#markets.set(venue, market);
    }
    return market;
  }
}

/** Events of a rule's layers that tell of an order that was let through or not. */
const DECISIONS: ReadonlySet<CatalogEvent['name']> = new Set([
  'risk.portfolio_limit.check',
  'risk.portfolio_limit.rejection',
  'risk.circuit_breaker.not_permitted',
]);

/** A host whose layers say of what they decide whether it was enforced. */
function markedHost(host: LayerHost, mode: 'observe' | 'enforce'): LayerHost {
  return {
    ...host,
    emit(event) {
      if (!DECISIONS.has(event.name)) return host.emit(event);
      const attributes = { ...event.attributes, 'risk.rule.mode': mode };
      return host.emit({ name: event.name, attributes } as CatalogEvent);
    },
  };
}

const balance = (market: OrderMarket, currency: string | undefined): number | undefined =>
  currency === undefined ? undefined : market.balanceOf(currency);

function isClosing(positions: ReturnType<OrderMarket['positions']>, { symbol, side, quantity }: LimitOrder): boolean {
  const held = positions.find((one) => one.symbol === symbol)?.quantity ?? 0;
  return side === 'sell' ? held > 0 && quantity <= held : held < 0 && quantity <= -held;
}

/** The order as the limits take it. */
function orderOf(exchange: object, attributes: Attributes, market: OrderMarket): LimitOrder {
  const symbol = String(attributes['trading.symbol'] ?? '');
  const side = attributes['trading.side'];
  const { price: seen, priceTimeMs } = market.priceOf(symbol);
  const price = decimal(attributes['trading.price']);
  const reference = seen ?? price;
  const cost = decimal(attributes['trading.notional']);
  const quantity =
    decimal(attributes['trading.quantity']) ??
    (cost === undefined || reference === undefined ? Number.NaN : cost / reference);
  const multiplier = contractSize(exchange, symbol) ?? market.multiplierOf(symbol) ?? (symbol.includes(':') ? null : 1);
  const orderId = text(attributes['trading.order.id']);
  const clientOrderId = text(attributes['trading.order.client_id']);
  const type = text(attributes['trading.order.type']);
  return {
    ...{ symbol, side: side as 'buy' | 'sell', quantity, multiplier },
    ...{
      reduceOnly: attributes['trading.order.reduce_only'] === true || isSpotSale(exchange, symbol, side, attributes),
    },
    ...(price === undefined ? {} : { price }),
    ...(reference === undefined ? {} : { referencePrice: reference }),
    ...(seen === undefined || priceTimeMs === undefined ? {} : { priceTimeMs }),
    // Of an order that is changed what is pending of it is not counted twice.
    ...(orderId === undefined ? {} : { orderId }),
    ...(clientOrderId === undefined ? {} : { clientOrderId }),
    ...(type === undefined ? {} : { type }),
    venue: String(attributes['trading.venue']),
  };
}

/** Units of the underlying per contract, where the exchange has loaded its markets. */
function contractSize(exchange: object, symbol: string): number | undefined {
  const { markets } = exchange as { markets?: Readonly<Record<string, { contractSize?: unknown }>> };
  const size = decimal(markets?.[symbol]?.contractSize);
  return size !== undefined && size > 0 ? size : undefined;
}

/** Without borrowing nobody sells on a spot market what he has not got. */
function isSpotSale(exchange: object, symbol: string, side: unknown, attributes: Attributes): boolean {
  if (side !== 'sell' || symbol.includes(':') || attributes['trading.leverage'] !== undefined) return false;
  const { options } = exchange as { options?: Readonly<Record<string, unknown>> };
  const type = options?.['defaultType'];
  return (type === undefined || type === 'spot') && options?.['defaultMarginMode'] === undefined;
}
