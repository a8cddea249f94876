/** What the trailing stops were given, read back from what they recorded, and how each journey went. */
import { difference } from '../../risk/decimal.ts';
import type { RecordedEvent } from '../../risk/recorded-event.ts';
import type { StopContext } from '../../risk/trailing-stop/stop.ts';
import { isStopSettings } from '../../risk/trailing-stop/validate.ts';
import {
  type BarPath,
  isTrailingStop,
  type PriceStamp,
  type TrailingStop,
  type TrailingStopSettings,
} from '../../risk/trailing-stop.ts';
import type { Journey, JourneyEnd, Place, Step } from './steps.ts';

const PREFIX = 'risk.trailing_stop.';
const MANAGER = 'risk.trailing_stop.manager';

/** What an event of a stop comes to. */
interface StopReading {
  /** Set of the stop; absent where it isn't known. */
  readonly set?: string;
  readonly step?: Step;
  /** Whether the event is a decision that the replay makes again. */
  readonly decision: boolean;
}

interface Held {
  readonly set: string;
  readonly journey: number;
  side: 'long' | 'short';
  entryPrice: number;
  quantity: number | undefined;
  fired: boolean;
  /** The last part of the position was just closed: its removal is no input. */
  closed: boolean;
}

type Attributes = RecordedEvent['attributes'];
const NOTHING: StopReading = { decision: false };

export class StopsReader {
  readonly sets = new Set<string>();
  readonly #held = new Map<string, Held>();
  readonly #setOfId = new Map<string, string>();
  readonly #journeys: Journey[] = [];
  readonly #lastPrice = new Map<string, number>();
  /** Whether prices that were inputs of a set say so: trails of before do not. */
  #marked = false;
  #restoredFrom: string | undefined;
  #restored = new Set<string>();

  setOf(id: string): string | undefined {
    return this.#setOfId.get(id);
  }

  /** Stops that stood when the replay begins. */
  hold(set: string, stops: readonly TrailingStop[]): void {
    this.sets.add(set);
    for (const stop of stops) {
      this.#begin(set, stop.id, stop.symbol, stop, {
        recordId: `start:${stop.id}`,
        sequence: -1,
        timeMs: Number.NaN,
        link: stop.context?.executionId,
      });
      const held = this.#held.get(stop.id)!;
      if (stop.status === 'triggered') held.fired = true;
    }
  }

  /** A process that begins with nothing. */
  clear(): void {
    this.#held.clear();
  }

  journeys(): readonly Journey[] {
    return this.#journeys;
  }

  /** @param sparse prices are known from what they brought about alone */
  take(event: RecordedEvent, place: Place, sparse: boolean): StopReading {
    const { attributes } = event;
    const kind = event.name.slice(PREFIX.length);
    if (kind === 'snapshot') return this.#snapshot(event, place);
    const id = attributes[`${PREFIX}id`];
    if (typeof id !== 'string' || kind === 'invalid_input') return NOTHING;
    if (kind === 'restored') {
      const from = attributes['risk.restored.record_id'];
      this.#restoredFrom = typeof from === 'string' ? from : undefined;
      this.#restored.add(id);
      return NOTHING;
    }
    if (kind === 'add') return this.#add(id, event, place);
    const held = this.#held.get(id);
    if (held === undefined) return NOTHING;
    const { set } = held;
    const now = event.timeMs;
    const number = (name: string) => attributes[PREFIX + name] as number | undefined;
    switch (kind) {
      case 'activate':
      case 'peak':
      case 'update':
      case 'trigger': {
        const price = number('current_price');
        if (kind === 'trigger') this.#fire(held, attributes, event.timeMs);
        if (price === undefined) return { set, decision: true };
        const symbol = attributes['trading.symbol'] as string;
        this.#lastPrice.set(symbol, price);
        // A stop that is active from its beginning says so at its entry price.
        const isFirst = kind === 'activate' && number('activation_price') === number('entry_price');
        if (!sparse || isFirst) return { set, decision: true };
        return { set, decision: true, step: { kind: 'price', set, key: id, price, stamp: {}, symbol, place, now } };
      }
      case 'partial_close': {
        const before = number('previous_quantity');
        const after = number('quantity') ?? 0;
        held.quantity = after === 0 ? held.quantity : after;
        held.closed = after === 0;
        if (before === undefined) return { set, decision: true };
        const quantity = difference(before, after);
        return { set, decision: true, step: { kind: 'stop_close', set, id, quantity, place, now } };
      }
      case 'side_flip':
        return this.#flip(id, held, event, place);
      case 'remove': {
        this.#end(held, {
          end: 'removed',
          timeMs: event.timeMs,
          price: this.#lastPrice.get(String(attributes['trading.symbol'])),
        });
        this.#held.delete(id);
        if (held.closed) return { set, decision: true };
        const reason = attributes['risk.reason'];
        const step: Step = {
          kind: 'stop_remove',
          ...{ set, id, fired: held.fired, place, now },
          reason: typeof reason === 'string' ? reason : undefined,
        };
        return { set, decision: true, step };
      }
      default:
        return NOTHING;
    }
  }

  /** A price or bar as the stops were given it. */
  market(event: RecordedEvent, place: Place): Step | undefined {
    const { attributes, timeMs: now } = event;
    const manager = attributes[MANAGER];
    const isBar = event.name === 'market.candle_closed';
    if (typeof manager === 'string') this.#marked = true;
    // What a service records of its own says neither whose input it is nor in which order a bar's prices came.
    else if (this.#marked || (isBar && attributes[`${PREFIX}bar_path`] === undefined)) return undefined;
    const set = typeof manager === 'string' ? manager : 'default';
    this.sets.add(set);
    const symbol = String(attributes['trading.symbol'] ?? '');
    const id = attributes[`${PREFIX}id`];
    const key = typeof id === 'string' ? id : symbol;
    const stamp = stampOf(attributes);
    if (!isBar) {
      const price = Number(attributes['trading.price']);
      this.#lastPrice.set(symbol, price);
      return { kind: 'price', set, key, price, stamp, place, now };
    }
    const number = (name: string) => Number(attributes[`trading.${name}`]);
    const bar = { open: number('open'), high: number('high'), low: number('low'), close: number('close') };
    this.#lastPrice.set(symbol, bar.close);
    return { kind: 'bar', set, key, bar, path: attributes[`${PREFIX}bar_path`] as BarPath, stamp, place, now };
  }

  #add(id: string, event: RecordedEvent, place: Place): StopReading {
    const { attributes, timeMs: now } = event;
    const manager = attributes[MANAGER];
    const set = typeof manager === 'string' ? manager : 'default';
    const settings = attributes[`${PREFIX}config`];
    const symbol = attributes['trading.symbol'];
    if (!isStopSettings(settings) || typeof symbol !== 'string') return NOTHING;
    const side = attributes[`${PREFIX}side`] as 'long' | 'short';
    const entryPrice = attributes[`${PREFIX}entry_price`] as number;
    const quantity = attributes[`${PREFIX}quantity`] as number | undefined;
    this.sets.add(set);
    this.#begin(set, id, symbol, { side, entryPrice, quantity }, place);
    const context = attributes[`${PREFIX}context`] as StopContext | undefined;
    const input = { id, symbol, side, entryPrice, ...(quantity === undefined ? {} : { quantity }), ...context };
    return { set, decision: true, step: { kind: 'stop_add', set, input, settings: frozen(settings), place, now } };
  }

  #flip(id: string, held: Held, event: RecordedEvent, place: Place): StopReading {
    const { attributes, timeMs: now } = event;
    const { set } = held;
    const settings = attributes[`${PREFIX}config`];
    const side = attributes[`${PREFIX}side`] as 'long' | 'short';
    const entryPrice = attributes[`${PREFIX}entry_price`] as number;
    const quantity = attributes[`${PREFIX}quantity`] as number | undefined;
    if (!isStopSettings(settings)) return { set, decision: true };
    const symbol = String(attributes['trading.symbol']);
    this.#end(held, { end: 'removed', timeMs: now, price: entryPrice });
    this.#begin(set, id, symbol, { side, entryPrice, quantity }, place);
    const input = { side, entryPrice, ...(quantity === undefined ? {} : { quantity }) };
    return { set, decision: true, step: { kind: 'stop_flip', set, id, input, settings: frozen(settings), place, now } };
  }

  #snapshot(event: RecordedEvent, place: Place): StopReading {
    const list = (event.attributes['risk.snapshot'] as { readonly stops?: unknown } | undefined)?.stops;
    if (!Array.isArray(list)) return NOTHING;
    const stops = list.filter(isTrailingStop);
    const set = stops[0]?.manager ?? 'default';
    this.sets.add(set);
    const restored = stops.some(({ id }) => this.#restored.has(id));
    for (const stop of stops) {
      this.#restored.delete(stop.id);
      if (!this.#held.has(stop.id)) {
        this.#begin(set, stop.id, stop.symbol, stop, place);
        if (stop.status === 'triggered') this.#held.get(stop.id)!.fired = true;
      }
    }
    const restoredFrom = restored ? this.#restoredFrom : undefined;
    return {
      set,
      decision: false,
      step: { kind: 'stops_snapshot', set, stops, restored, restoredFrom, place, now: event.timeMs },
    };
  }

  #begin(
    set: string,
    id: string,
    symbol: string,
    of: { readonly side: 'long' | 'short'; readonly entryPrice: number; readonly quantity?: number | undefined },
    place: Place,
  ): void {
    const { side, entryPrice, quantity } = of;
    this.#setOfId.set(id, set);
    this.#held.set(id, {
      set,
      journey: this.#journeys.length,
      side,
      entryPrice,
      quantity,
      fired: false,
      closed: false,
    });
    this.#journeys.push({
      ...{ key: place.recordId, id, set, symbol, link: place.link, addedMs: place.timeMs },
      recorded: { end: 'open', side, entryPrice, quantity },
    });
  }

  #fire(held: Held, attributes: Attributes, timeMs: number): void {
    held.fired = true;
    this.#end(held, {
      ...{ end: 'fired', timeMs, price: attributes[`${PREFIX}current_price`] as number },
      kind: attributes[`${PREFIX}trigger`] as 'trailing' | 'hard',
      level: attributes[`${PREFIX}stop_price`] as number,
    });
  }

  #end(
    held: Held,
    end: Pick<JourneyEnd, 'end' | 'timeMs' | 'kind' | 'level'> & { readonly price: number | undefined },
  ): void {
    const journey = this.#journeys[held.journey]!;
    if (journey.recorded.end !== 'open') return;
    const { side, entryPrice, quantity } = held;
    const { price, ...rest } = end;
    const recorded: JourneyEnd = { ...rest, side, entryPrice, quantity, ...(price === undefined ? {} : { price }) };
    this.#journeys[held.journey] = { ...journey, recorded };
  }
}

const frozen = (settings: TrailingStopSettings): TrailingStopSettings => Object.freeze({ ...settings });

function stampOf(attributes: Attributes): PriceStamp {
  const time = attributes['trading.price.time'];
  const sequence = attributes['trading.price.sequence'];
  const feed = attributes['trading.price.feed'];
  return {
    ...(typeof time === 'string' ? { timeMs: Date.parse(time) } : {}),
    ...(typeof sequence === 'number' ? { sequence } : {}),
    ...(typeof feed === 'string' ? { feed } : {}),
  };
}
