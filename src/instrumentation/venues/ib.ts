/**
 * `@stoqey/ib`: orders are sent without an answer; what became of them comes as events of the same object. Both are seen
 * where they pass: `placeOrder` and `cancelOrder`, and `emit`. https://interactivebrokers.github.io/tws-api/order_submission.html
 */
import type { CatalogEvent } from '../../catalog/events.ts';
import { findHost, guarded, type InstrumentationHost, machineClock, record } from '../host.ts';
import { amountOf, given, sideOf, textOf } from './axios-errors.ts';

type Fields = Readonly<Record<string, unknown>>;
interface Emitter {
  emit?(...args: unknown[]): unknown;
}
type Method = (this: object, ...args: unknown[]) => unknown;

interface Known {
  readonly asked: Record<string, unknown>;
  readonly intent: string | undefined;
  readonly beganMs: number;
  placed: boolean;
  filled: number;
}

const PATCHED = Symbol.for('risktrail.ib.patched');
const VENUE = 'ib';
/** Orders whose end has not come, by object. */
const books = new WeakMap<object, Map<number, Known>>();

const PLACED: readonly unknown[] = ['PreSubmitted', 'Submitted', 'Filled'];
const CANCELLED: readonly unknown[] = ['Cancelled', 'ApiCancelled'];
/** "Order message", and what comes of a cancel: they end no order. https://interactivebrokers.github.io/tws-api/message_codes.html */
const NO_END: readonly number[] = [399, 404, 10147, 10148];
const ORDER_CANCELLED = 202;
/** Codes from here on are warnings and notes of the connection. */
const WARNINGS = 2100;
/** Codes from here on are errors again. */
const ERRORS = 10_000;

const tell = (host: InstrumentationHost, name: string, attributes: object) =>
  record(host, { name, attributes } as unknown as CatalogEvent);

/**
 * Records the orders of a copy of `@stoqey/ib`: for bundles, which no hook sees.
 * @param ib what the package exports
 * @returns what was given
 */
export function instrumentIb<T>(ib: T): T {
  const prototype = (ib as { IBApi?: { prototype?: Record<string, unknown> } } | undefined)?.IBApi?.prototype;
  if (prototype === undefined || Object.hasOwn(prototype, PATCHED)) return ib;
  Object.defineProperty(prototype, PATCHED, { value: true });
  const wrap = (name: string, make: (original: Method) => Method) => {
    const original = prototype[name];
    if (typeof original !== 'function') return;
    Object.defineProperty(prototype, name, { value: make(original as Method), writable: true, configurable: true });
  };
  wrap('placeOrder', placeOrder);
  wrap('emit', emit);
  return ib;
}

const placeOrder = (original: Method): Method =>
  function (...args) {
    const host = findHost();
    if (host === undefined) return original.apply(this, args);
    let asked: Record<string, unknown> = {};
    guarded(host, 'ib', () => {
      asked = askedOf(args);
    });
    const send = (intent: string | undefined) => {
      const known = { asked, intent, beganMs: machineClock.monotonic(), placed: false, filled: 0 };
      bookOf(this).set(Number(args[0]), known);
      return original.apply(this, args);
    };
    return host.withContext({ venue: VENUE }, () => {
      const before = bookOf(this).get(Number(args[0]));
      // The same number again changes the order.
      if (before !== undefined) {
        tell(host, 'order.edited', asked);
        return original.apply(this, args);
      }
      if (host.settings.durability === 'disk') {
        const sent = host.writeAhead('order.intent' as never, asked as never, ({ recordId }) => send(recordId));
        // Nobody waits for an answer here: a refusal comes as TWS's own do.
        sent.catch((error: unknown) => (this as Emitter).emit?.('error', error, 0, args[0]));
        return this;
      }
      return send(tell(host, 'order.intent', asked));
    });
  };

function bookOf(ib: object): Map<number, Known> {
  const known = books.get(ib);
  if (known !== undefined) return known;
  const book = new Map<number, Known>();
  books.set(ib, book);
  return book;
}

function askedOf([id, contract, order]: readonly unknown[]): Record<string, unknown> {
  const [of, is] = [(contract ?? {}) as Fields, (order ?? {}) as Fields];
  return given({
    'trading.venue': VENUE,
    operation: 'placeOrder',
    'trading.symbol': textOf(of['localSymbol'] ?? of['symbol']),
    'trading.side': sideOf(is['action']),
    'trading.quantity': amountOf(is['totalQuantity']),
    'trading.price': amountOf(is['lmtPrice']),
    'trading.order.type': textOf(is['orderType'])?.toLowerCase(),
    'trading.order.id': textOf(id),
    'trading.order.client_id': textOf(is['orderRef']),
    'trading.order.time_in_force': textOf(is['tif']),
  });
}

const emit = (original: Method): Method =>
  function (...args) {
    const [event] = args;
    if (event === 'orderStatus' || event === 'error' || event === 'disconnected') {
      const book = books.get(this);
      const host = book === undefined || book.size === 0 ? undefined : findHost();
      if (book !== undefined && host !== undefined) guarded(host, 'ib', () => heard(host, book, args));
    }
    return original.apply(this, args);
  };

function heard(host: InstrumentationHost, book: Map<number, Known>, [event, ...args]: readonly unknown[]): void {
  if (event === 'orderStatus') status(host, book, args);
  else if (event === 'error') failed(host, book, args);
  else {
    for (const [id, known] of book) {
      if (known.placed) continue;
      book.delete(id);
      const message = 'the connection was lost before an answer came';
      tell(host, 'order.outcome_unknown', {
        ...outcome(known),
        'error.type': 'Disconnected',
        'error.message': message,
      });
      called(host, known, { 'error.type': 'Disconnected' });
    }
  }
}

function outcome({ asked, intent, beganMs }: Known): Record<string, unknown> {
  return {
    ...asked,
    'timing.duration_ms': Math.round((machineClock.monotonic() - beganMs) * 1000) / 1000,
    ...(intent === undefined ? {} : { 'risk.cause.record_id': intent }),
  };
}

function called(host: InstrumentationHost, known: Known, more: object): void {
  const { 'timing.duration_ms': durationMs } = outcome(known);
  tell(host, 'api.call', {
    ...{ operation: 'placeOrder', 'trading.venue': VENUE, 'timing.duration_ms': durationMs, ...more },
  });
}

function placed(host: InstrumentationHost, known: Known, word: unknown): void {
  if (known.placed) return;
  known.placed = true;
  tell(host, 'order.placed', { ...outcome(known), 'trading.order.status': textOf(word)?.toLowerCase() });
  called(host, known, {});
}

function status(host: InstrumentationHost, book: Map<number, Known>, args: readonly unknown[]): void {
  const [id, word, filledNow, remaining, average] = args;
  const known = book.get(Number(id));
  if (known === undefined) return;
  if (PLACED.includes(word) || Number(filledNow) > 0) placed(host, known, word);
  const filled = Number(filledNow);
  if (filled > known.filled) {
    // The same status comes several times.
    tell(host, 'order.filled', {
      ...known.asked,
      'trading.quantity': filled - known.filled,
      'trading.price': average,
      'trading.order.filled_quantity': filled,
      'trading.order.remaining_quantity': remaining,
    });
    known.filled = filled;
  }
  if (word === 'Filled') book.delete(Number(id));
  else if (CANCELLED.includes(word)) {
    book.delete(Number(id));
    tell(host, 'order.cancelled', { ...known.asked, 'trading.order.status': 'cancelled' });
  }
}

function failed(host: InstrumentationHost, book: Map<number, Known>, args: readonly unknown[]): void {
  const [error, code, id] = args;
  const known = book.get(Number(id));
  const number = Number(code);
  if (known === undefined || NO_END.includes(number) || (number >= WARNINGS && number < ERRORS)) return;
  book.delete(Number(id));
  const message = error instanceof Error ? error.message : String(error);
  const about = { 'error.type': 'ApiError', 'error.code': String(code), 'error.message': message };
  if (number === ORDER_CANCELLED) {
    tell(host, 'order.cancelled', { ...known.asked, 'trading.order.status': 'cancelled' });
    return;
  }
  tell(host, known.placed ? 'order.cancelled' : 'order.rejected', { ...outcome(known), ...about });
  called(host, known, about);
}
