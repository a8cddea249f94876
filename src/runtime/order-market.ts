/**
 * What is known of an account at one venue without asking it: what the program's own reads of the exchange showed, and the
 * fills since. What nothing was seen of is not known, and says so.
 */
import { difference, product, sum } from '../risk/decimal.ts';
import type { Position } from '../risk/portfolio-limits/portfolio.ts';

type Fields = Readonly<Record<string, unknown>>;

interface Held {
  quantity: number;
  /** Mean price of what is held; undefined where it is not known. */
  average: number | undefined;
  multiplier: number;
}

/** A fill, as it was recorded. */
export interface MarketFill {
  readonly symbol: string;
  readonly side: 'buy' | 'sell';
  readonly quantity: number;
  readonly price: number | undefined;
}

const isFields = (value: unknown): value is Fields =>
  typeof value === 'object' && value !== null && !Array.isArray(value);
const amountOf = (value: unknown): number | undefined => {
  const amount = typeof value === 'string' && value !== '' ? Number(value) : value;
  return typeof amount === 'number' && Number.isFinite(amount) ? amount : undefined;
};
const priceOf = (value: unknown): number | undefined => {
  const price = amountOf(value);
  return price !== undefined && price > 0 ? price : undefined;
};
/** Spot, or a contract that is settled in what it is quoted in: one that is settled in its own coin has no linear result. */
function isLinear(symbol: string): boolean {
  const [pair = '', settle] = symbol.split(':');
  return settle === undefined || settle.split('-')[0] === pair.split('/')[1];
}
/** Sums of decimal fills miss nothing by rounding: that much is no position. */
const ROUNDING = 1e-9;
/** Of more symbols the oldest price is forgotten: a program may read every market of a venue. */
const MAX_PRICES = 5000;

export class OrderMarket {
  readonly #held = new Map<string, Held>();
  readonly #prices = new Map<string, { price: number; timeMs: number }>();
  readonly #balances = new Map<string, number>();
  #positionsKnown = false;
  #resultUnknown = false;

  /** @param positions signed quantities by symbol, where they are known */
  constructor(positions: Readonly<Record<string, number>> | undefined) {
    if (positions === undefined) return;
    this.#positionsKnown = true;
    for (const [symbol, quantity] of Object.entries(positions)) {
      this.#held.set(symbol, { quantity, average: undefined, multiplier: 1 });
    }
  }

  /** Whether all positions are known; else those of the fills since the start alone. */
  get positionsKnown(): boolean {
    return this.#positionsKnown;
  }

  /** Something was realised, and nobody knows how much. */
  get resultUnknown(): boolean {
    return this.#resultUnknown;
  }

  positions(): readonly Position[] {
    return [...this.#held].map(([symbol, { quantity, multiplier }]) => ({
      ...{ symbol, quantity, multiplier },
      ...this.priceOf(symbol),
    }));
  }

  /** The newest price that was seen of a symbol. */
  priceOf(symbol: string): { readonly price?: number; readonly priceTimeMs?: number } {
    const seen = this.#prices.get(symbol);
    return seen === undefined ? {} : { price: seen.price, priceTimeMs: seen.timeMs };
  }

  /** Contract size of a symbol that is held. */
  multiplierOf(symbol: string): number | undefined {
    return this.#held.get(symbol)?.multiplier;
  }

  balanceOf(currency: string): number | undefined {
    return this.#balances.get(currency);
  }

  /** A unified read of the exchange was answered. @param now epoch milliseconds */
  saw(operation: string, args: readonly unknown[], result: unknown, now: number): void {
    switch (operation.endsWith('Ws') ? operation.slice(0, -2) : operation) {
      case 'fetchTicker':
        this.#ticker(result, now);
        break;
      case 'fetchTickers':
        if (isFields(result)) for (const one of Object.values(result)) this.#ticker(one, now);
        break;
      case 'fetchOHLCV': {
        const candle: unknown = Array.isArray(result) ? result.at(-1) : undefined;
        if (Array.isArray(candle)) this.#price(args[0], candle[4], now);
        break;
      }
      case 'fetchBalance':
        this.#balance(result);
        break;
      case 'fetchPositions':
        this.#positions(args[0], result, now);
        break;
      default:
    }
  }

  /** @returns what it realised, where that is known */
  filled({ symbol, side, quantity, price }: MarketFill): number | undefined {
    const held = this.#held.get(symbol) ?? { quantity: 0, average: undefined, multiplier: 1 };
    const signed = side === 'buy' ? quantity : -quantity;
    const after = sum(held.quantity, signed);
    const closes = held.quantity * signed < 0 ? Math.min(Math.abs(held.quantity), quantity) : 0;
    let realised: number | undefined;
    if (closes > 0) {
      if (price !== undefined && held.average !== undefined && isLinear(symbol)) {
        const move = held.quantity > 0 ? difference(price, held.average) : difference(held.average, price);
        realised = product(product(move, closes), held.multiplier);
      } else this.#resultUnknown = true;
    } else if (!this.#positionsKnown && side === 'sell' && !symbol.includes(':')) {
      // A spot sale of what was held before the start.
      this.#resultUnknown = true;
    }
    if (Math.abs(after) <= ROUNDING * Math.max(quantity, Math.abs(held.quantity))) {
      this.#held.delete(symbol);
      return realised;
    }
    const turned = after * held.quantity < 0;
    let { average } = held;
    if (held.quantity === 0 || turned) average = price;
    else if (closes === 0 && average !== undefined && price !== undefined) {
      average = (Math.abs(held.quantity) * average + quantity * price) / Math.abs(after);
    } else if (closes === 0) average = undefined;
    this.#held.set(symbol, { quantity: after, average, multiplier: held.multiplier });
    return realised;
  }

  #ticker(ticker: unknown, now: number): void {
    if (!isFields(ticker)) return;
    const { symbol, last, bid, ask } = ticker;
    const [low, high] = [priceOf(bid), priceOf(ask)];
    this.#price(symbol, last ?? (low !== undefined && high !== undefined ? (low + high) / 2 : undefined), now);
  }

  #price(symbol: unknown, given: unknown, timeMs: number): void {
    const price = priceOf(given);
    if (typeof symbol !== 'string' || price === undefined) return;
    this.#prices.delete(symbol);
    this.#prices.set(symbol, { price, timeMs });
    if (this.#prices.size > MAX_PRICES) this.#prices.delete(this.#prices.keys().next().value!);
  }

  #balance(result: unknown): void {
    const total = isFields(result) ? result['total'] : undefined;
    if (!isFields(total)) return;
    for (const [currency, given] of Object.entries(total)) {
      const amount = amountOf(given);
      if (amount !== undefined) this.#balances.set(currency, amount);
    }
  }

  /** A list of some symbols says nothing of the others; a whole one says it of all. */
  #positions(asked: unknown, result: unknown, now: number): void {
    if (!Array.isArray(result)) return;
    const symbols = Array.isArray(asked) && asked.length > 0 ? asked : undefined;
    // Spot holdings are no positions for ccxt: what fills told of them stays.
    for (const symbol of symbols ?? [...this.#held.keys()].filter((one) => one.includes(':')))
      this.#held.delete(symbol);
    for (const one of result) {
      if (!isFields(one) || typeof one['symbol'] !== 'string') continue;
      const contracts = amountOf(one['contracts']);
      if (contracts === undefined || contracts === 0) continue;
      const { symbol, side } = one as { symbol: string; side?: unknown };
      const quantity = side === 'short' ? -Math.abs(contracts) : contracts;
      const multiplier = priceOf(one['contractSize']) ?? 1;
      this.#held.set(symbol, { quantity, average: priceOf(one['entryPrice']), multiplier });
      this.#price(symbol, one['markPrice'], now);
    }
    if (symbols === undefined) this.#positionsKnown = true;
  }
}
