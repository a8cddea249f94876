/** The stops of one set, found by id and by symbol. Holds what it is given; decides nothing about prices. */
import type { TrailingStop } from './stop.ts';

export class StopSet {
  readonly #stops = new Map<string, TrailingStop>();
  /** Ids by symbol, in the order of adding: a price of one symbol must not cost a walk over all stops. */
  readonly #bySymbol = new Map<string, Set<string>>();

  get size(): number {
    return this.#stops.size;
  }

  get(id: string): TrailingStop | undefined {
    return this.#stops.get(id);
  }

  list(): readonly TrailingStop[] {
    return [...this.#stops.values()];
  }

  /** Puts a stop in, in the place of one of the same id. */
  hold(stop: TrailingStop): void {
    const held = this.#stops.get(stop.id);
    if (held !== undefined && held.symbol !== stop.symbol) this.drop(held);
    this.#stops.set(stop.id, stop);
    const ids = this.#bySymbol.get(stop.symbol);
    if (ids === undefined) this.#bySymbol.set(stop.symbol, new Set([stop.id]));
    else ids.add(stop.id);
  }

  drop(stop: TrailingStop): void {
    this.#stops.delete(stop.id);
    const ids = this.#bySymbol.get(stop.symbol);
    ids?.delete(stop.id);
    if (ids?.size === 0) this.#bySymbol.delete(stop.symbol);
  }

  /** The stop of that id; where there is none, or its symbol is the same word, all stops on that symbol. */
  meantBy(key: string): readonly TrailingStop[] {
    const one = this.#stops.get(key);
    if (one !== undefined && one.symbol !== key) return [one];
    const ids = this.#bySymbol.get(key);
    return ids === undefined ? [] : Array.from(ids, (id) => this.#stops.get(id)!);
  }

  /** Whether, with this stop put in, one key would mean both a stop and another symbol's stops: prices would go astray. */
  wouldBeAmbiguous(stop: TrailingStop): boolean {
    const { id, symbol } = stop;
    const others = id === symbol ? [] : [...(this.#bySymbol.get(id) ?? [])].filter((other) => other !== id);
    const named = this.#stops.get(symbol);
    return others.length > 0 || (named !== undefined && named.id !== id && named.symbol !== symbol);
  }
}
