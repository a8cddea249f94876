/** What is recorded of each kind of unified call. */
import type { CatalogEvent } from '../../catalog/events.ts';
import { guarded, type InstrumentationHost, record } from '../host.ts';
import {
  type CcxtCall,
  durations,
  putDurations,
  putRateLimit,
  rateLimitAttributes,
  readingOrders,
  statusAttributes,
} from './call.ts';
import { classNames, failureOf, isRateLimit, plainMessage } from './errors.ts';
import { FillBook } from './fills.ts';
import {
  type CallKind,
  type CancelTarget,
  cancelTarget,
  editsOf,
  type NamedArguments,
  ordersOf,
} from './signatures.ts';

type Fields = Readonly<Record<string, unknown>>;
type Attributes = Record<string, unknown>;

const books = new WeakMap<object, FillBook>();

/** The book of an exchange object's fills. */
export function fillBook(exchange: object): FillBook {
  let book = books.get(exchange);
  if (book === undefined) {
    book = new FillBook(venueOf(exchange));
    books.set(exchange, book);
  }
  return book;
}

export const venueOf = (exchange: object): string => String((exchange as { id?: unknown }).id ?? 'unknown');

const text = (value: unknown) => (typeof value === 'string' && value !== '' ? value : undefined);
const isMap = (value: unknown): value is Fields => typeof value === 'object' && value !== null && !Array.isArray(value);
const decimal = (value: unknown) => (typeof value === 'number' || typeof value === 'string' ? value : undefined);

/** Puts a value under its name unless there is none. */
function put(to: Attributes, name: string, value: unknown): void {
  if (value !== undefined && value !== null && value !== '') to[name] = value;
}

const emit = (host: InstrumentationHost, name: CatalogEvent['name'], attributes: Attributes) =>
  record(host, { name, attributes } as never);

/** What the program asked for, as attributes. */
export function requested(order: NamedArguments): Attributes {
  const params = isMap(order['params']) ? order['params'] : {};
  const attributes: Attributes = {};
  put(attributes, 'trading.symbol', text(order['symbol']));
  put(attributes, 'trading.side', text(order['side'])?.toLowerCase());
  put(attributes, 'trading.quantity', decimal(order['amount']));
  put(attributes, 'trading.price', decimal(order['price']));
  put(attributes, 'trading.notional', decimal(order['cost'] ?? params['cost']));
  put(attributes, 'trading.order.type', text(order['type'])?.toLowerCase());
  put(attributes, 'trading.order.client_id', text(params['clientOrderId'] ?? params['newClientOrderId']));
  put(
    attributes,
    'trading.order.stop_price',
    decimal(order['stopPrice'] ?? params['triggerPrice'] ?? params['stopPrice']),
  );
  put(attributes, 'trading.order.time_in_force', text(params['timeInForce']));
  if (params['reduceOnly'] === true) attributes['trading.order.reduce_only'] = true;
  put(attributes, 'trading.stop_loss', priceOf(order['stopLoss'] ?? params['stopLoss'] ?? params['stopLossPrice']));
  put(
    attributes,
    'trading.take_profit',
    priceOf(order['takeProfit'] ?? params['takeProfit'] ?? params['takeProfitPrice']),
  );
  return attributes;
}

const priceOf = (value: unknown) => decimal(isMap(value) ? (value['triggerPrice'] ?? value['price']) : value);

/** What an order's answer tells where the program did not say it. */
const ANSWERED = [
  ['trading.symbol', 'symbol'],
  ['trading.side', 'side'],
  ['trading.quantity', 'amount'],
  ['trading.price', 'price'],
] as const;

/** What the venue answered of an order, over what was asked for. */
function answered(asked: Attributes, order: unknown): Attributes {
  const attributes: Attributes = { ...asked };
  if (!isMap(order)) return attributes;
  put(attributes, 'trading.order.id', text(order['id']));
  put(attributes, 'trading.order.client_id', text(order['clientOrderId']));
  put(attributes, 'trading.order.status', text(order['status']));
  for (const [name, key] of ANSWERED) {
    if (attributes[name] === undefined) put(attributes, name, decimal(order[key]));
  }
  return attributes;
}

/** What is told of an error: its class, and its message without what signs requests. */
export function errorAttributes(exchange: object, error: unknown): Attributes {
  const [type] = classNames(error);
  const message = error instanceof Error ? error.message : String(error);
  return { 'error.type': type ?? typeof error, 'error.message': plainMessage(exchange, message) };
}

/** Whether anything that may change something can have reached the venue. */
const mayHaveArrived = (call: CcxtCall, error: unknown) =>
  call.uncertain || ((call.sent || call.operation.endsWith('Ws')) && failureOf(error, call.status) === 'unknown');

/** Every call, with its durations; a limit that was hit by way of an error that carries no status. */
function callDone(host: InstrumentationHost, call: CcxtCall, more?: Attributes): void {
  const attributes = putDurations({ operation: call.operation, 'trading.venue': venueOf(call.exchange) }, call);
  if (call.status !== undefined) attributes['http.response.status_code'] = call.status;
  putRateLimit(attributes, call);
  emit(host, 'api.call', more === undefined ? attributes : { ...attributes, ...more });
}

/** The end of a call, told once. */
export interface Outcome {
  done(result: unknown): void;
  failed(error: unknown): void;
}

/** A creating call: its intents first. `before` are the attributes of each order; `intents` their record ids. */
export function createOutcome(
  host: InstrumentationHost,
  call: CcxtCall,
  before: readonly Attributes[],
  intents: readonly (string | undefined)[],
): Outcome {
  const { exchange } = call;
  /** What all that becomes of the order with this number tells besides. */
  const measured = (to: Attributes, i: number) => {
    to['trading.venue'] = venueOf(exchange);
    to['operation'] = call.operation;
    if (intents[i] !== undefined) to['risk.cause.record_id'] = intents[i];
    return putRateLimit(putDurations(to, call), call);
  };
  return {
    done(result) {
      const orders = Array.isArray(result) ? result : [result];
      const book = fillBook(exchange);
      for (let i = 0; i < Math.max(before.length, orders.length); i++) {
        const order: unknown = orders[i];
        const attributes = measured(answered(before[i] ?? {}, order), i);
        const status = attributes['trading.order.status'];
        if (status === 'rejected') {
          emit(host, 'order.rejected', attributes);
          continue;
        }
        if (before.length > 1 && !isMap(order)) {
          // The venue answered for fewer orders than it was given.
          emit(host, 'order.outcome_unknown', attributes);
          continue;
        }
        emit(host, 'order.placed', attributes);
        const id = attributes['trading.order.id'];
        if (typeof id === 'string' && isMap(order)) book.answered(host, id, order, attributes);
      }
      callDone(host, call);
    },
    failed(error) {
      const about = errorAttributes(exchange, error);
      const name = mayHaveArrived(call, error) ? 'order.outcome_unknown' : 'order.rejected';
      for (const [i, order] of before.entries()) {
        emit(host, name, { ...measured({ ...order }, i), ...about });
      }
      callDone(host, call, about);
    },
  };
}

/** Kraken's amendments leave the order its id; what ccxt shows as one is that of the amendment. */
const isAmended = (order: unknown): boolean =>
  isMap(order) && isMap(order['info']) && order['info']['amend_id'] !== undefined;

/** The order that an edit is about, and what it is to become. */
function changed(exchange: object, edit: NamedArguments): Attributes {
  const attributes: Attributes = { ...requested(edit), 'trading.venue': venueOf(exchange) };
  put(attributes, 'trading.order.id', text(edit['id']));
  put(attributes, 'trading.order.client_id', text(edit['clientOrderId']));
  return attributes;
}

function editOutcome(host: InstrumentationHost, call: CcxtCall, args: readonly unknown[]): Outcome {
  const edits = editsOf(call.operation, args);
  const of = (edit: NamedArguments) => changed(call.exchange, edit);
  return {
    done(result) {
      const orders = Array.isArray(result) ? result : [result];
      for (const [i, edit] of edits.entries()) {
        const before = of(edit);
        const after = answered(before, orders[i]);
        const replaced = before['trading.order.id'];
        // Many venues cancel the order and place another.
        const other = replaced !== undefined && after['trading.order.id'] !== replaced && !isAmended(orders[i]);
        const measured = { operation: call.operation, ...durations(call), ...rateLimitAttributes(call) };
        emit(host, 'order.edited', {
          ...after,
          ...(replaced === undefined ? {} : { 'trading.order.id': replaced }),
          ...measured,
        });
        if (!other) continue;
        emit(host, 'order.cancelled', {
          'trading.order.id': replaced,
          'trading.symbol': before['trading.symbol'],
          'trading.venue': venueOf(call.exchange),
          operation: call.operation,
        });
        emit(host, 'order.placed', { ...after, ...measured });
        fillBook(call.exchange).placed(String(after['trading.order.id']));
      }
      callDone(host, call);
    },
    failed(error) {
      const about = { ...errorAttributes(call.exchange, error), operation: call.operation, ...durations(call) };
      for (const edit of edits) failedChange(host, call, error, of(edit), about);
      callDone(host, call, about);
    },
  };
}

/** A change of an order failed: the order stands as it was, or nobody knows. */
function failedChange(
  host: InstrumentationHost,
  call: CcxtCall,
  error: unknown,
  order: Attributes,
  about: Attributes,
): void {
  if (mayHaveArrived(call, error)) {
    emit(host, 'order.outcome_unknown', { ...order, ...about });
    return;
  }
  const ids: Attributes = {};
  for (const name of ['trading.order.id', 'trading.order.client_id', 'trading.symbol', 'trading.venue'])
    put(ids, name, order[name]);
  emit(host, 'api.error', { ...ids, ...about, ...statusAttributes(call) });
}

function targetAttributes(call: CcxtCall, target: CancelTarget): Attributes {
  const attributes: Attributes = { 'trading.venue': venueOf(call.exchange) };
  put(attributes, 'trading.order.id', target.id);
  put(attributes, 'trading.order.client_id', target.clientOrderId);
  put(attributes, 'trading.order.ids', target.ids);
  put(attributes, 'trading.symbol', target.symbol);
  return attributes;
}

function cancelOutcome(host: InstrumentationHost, call: CcxtCall, args: readonly unknown[]): Outcome {
  const target = cancelTarget(call.operation, args);
  return {
    done(result) {
      if (target !== undefined) {
        const attributes = targetAttributes(call, target);
        const answeredIds = (Array.isArray(result) ? result : [])
          .map((one) => text((one as Fields | null)?.['id']))
          .filter((id) => id !== undefined);
        const all = target.id === undefined && target.clientOrderId === undefined && target.ids === undefined;
        if (all && answeredIds.length > 0) attributes['trading.order.ids'] = answeredIds;
        emit(host, 'order.cancelled', {
          ...attributes,
          operation: call.operation,
          ...durations(call),
          ...rateLimitAttributes(call),
        });
        const book = fillBook(call.exchange);
        for (const id of [target.id, ...(target.ids ?? answeredIds)]) if (id !== undefined) book.cancelled(id);
      }
      callDone(host, call);
    },
    failed(error) {
      const about = { ...errorAttributes(call.exchange, error), operation: call.operation, ...durations(call) };
      failedChange(
        host,
        call,
        error,
        target === undefined ? { 'trading.venue': venueOf(call.exchange) } : targetAttributes(call, target),
        about,
      );
      callDone(host, call, about);
    },
  };
}

function settingOutcome(
  host: InstrumentationHost,
  call: CcxtCall,
  kind: 'leverage' | 'margin',
  args: readonly unknown[],
): Outcome {
  const about = { 'trading.venue': venueOf(call.exchange), operation: call.operation };
  return {
    done() {
      const attributes: Attributes = { ...about, ...durations(call) };
      put(attributes, 'trading.symbol', text(args[1]));
      if (kind === 'leverage')
        put(attributes, 'trading.leverage', Number.isFinite(Number(args[0])) ? Number(args[0]) : undefined);
      else put(attributes, 'trading.margin_type', text(args[0])?.toLowerCase());
      emit(host, kind === 'leverage' ? 'config.leverage_set' : 'config.margin_type_set', attributes);
      callDone(host, call);
    },
    failed: (error) => plainFailure(host, call, error),
  };
}

function plainFailure(host: InstrumentationHost, call: CcxtCall, error: unknown): void {
  const about = errorAttributes(call.exchange, error);
  emit(host, 'api.error', {
    operation: call.operation,
    'trading.venue': venueOf(call.exchange),
    ...durations(call),
    ...statusAttributes(call),
    ...about,
  });
  callDone(host, call, about);
}

/** Non-zero totals of a balance, as ccxt gives them. */
function balanceAttributes(balance: unknown): Attributes {
  const total = isMap(balance) && isMap(balance['total']) ? balance['total'] : {};
  const held = Object.entries(total).filter(([, amount]) => decimal(amount) !== undefined && Number(amount) !== 0);
  const [only] = held;
  return {
    ...(held.length === 1 && only !== undefined ? { 'trading.balance': only[1], 'trading.currency': only[0] } : {}),
    ...(held.length === 0 ? {} : { metadata: { balances: Object.fromEntries(held.slice(0, 100)) } }),
  };
}

function positionAttributes(result: unknown): Attributes {
  const positions = (Array.isArray(result) ? result : [result]).filter(isMap);
  const attributes: Attributes = { 'trading.position.count': positions.length };
  const [position] = positions;
  if (positions.length !== 1 || position === undefined) return attributes;
  const contracts = decimal(position['contracts']);
  put(attributes, 'trading.symbol', text(position['symbol']));
  put(
    attributes,
    'trading.position.quantity',
    contracts === undefined ? undefined : position['side'] === 'short' ? -Math.abs(Number(contracts)) : contracts,
  );
  put(attributes, 'trading.position.average_price', decimal(position['entryPrice']));
  put(attributes, 'trading.pnl', decimal(position['unrealizedPnl']));
  return attributes;
}

function readOutcome(host: InstrumentationHost, call: CcxtCall): Outcome {
  const operation = call.operation.endsWith('Ws') ? call.operation.slice(0, -2) : call.operation;
  return {
    done(result) {
      const about = { 'trading.venue': venueOf(call.exchange), operation: call.operation, ...durations(call) };
      if (operation === 'fetchBalance') emit(host, 'account.balance_query', { ...balanceAttributes(result), ...about });
      else if (operation.startsWith('fetchPosition'))
        emit(host, 'position.query', { ...positionAttributes(result), ...about });
      else if (readingOrders.getStore() === true) {
        // The reconciliation tells of what it finds.
      } else if (operation.endsWith('Trades')) fillBook(call.exchange).trades(host, result, false);
      else fillBook(call.exchange).orders(host, result, false);
      callDone(host, call);
    },
    failed: (error) => plainFailure(host, call, error),
  };
}

function watchOutcome(host: InstrumentationHost, call: CcxtCall): Outcome {
  return {
    done(result) {
      const book = fillBook(call.exchange);
      if (call.operation.startsWith('watchMyTrades')) book.trades(host, result, true);
      else book.orders(host, result, true);
    },
    failed: (error) => plainFailure(host, call, error),
  };
}

/** How the end of a call is told, but for those that create. */
export function outcomeOf(
  host: InstrumentationHost,
  call: CcxtCall,
  kind: Exclude<CallKind, 'create'>,
  args: readonly unknown[],
): Outcome {
  switch (kind) {
    case 'edit':
      return editOutcome(host, call, args);
    case 'cancel':
      return cancelOutcome(host, call, args);
    case 'leverage':
    case 'margin':
      return settingOutcome(host, call, kind, args);
    case 'read':
      return readOutcome(host, call);
    case 'watch':
      return watchOutcome(host, call);
    case 'other':
      return { done: () => callDone(host, call), failed: (error) => plainFailure(host, call, error) };
  }
}

/** What is asked for by a creating call, order by order. */
export const intentsOf = (exchange: object, operation: string, args: readonly unknown[]): readonly Attributes[] =>
  ordersOf(operation, args).map((order) => {
    const attributes = requested(order);
    attributes['trading.venue'] = venueOf(exchange);
    attributes['operation'] = operation;
    return attributes;
  });

/** What is asked for by an editing call, order by order. */
export const changesOf = (exchange: object, operation: string, args: readonly unknown[]): readonly Attributes[] =>
  editsOf(operation, args).map((edit) => ({ ...changed(exchange, edit), operation }));

/** The venue's limit was hit. */
export function rateLimited(host: InstrumentationHost, call: CcxtCall, error: unknown): void {
  if (!isRateLimit(classNames(error)) && call.status !== 429 && call.status !== 418) return;
  guarded(host, 'ccxt rate limit', () => {
    emit(host, 'api.rate_limit', {
      operation: call.operation,
      'trading.venue': venueOf(call.exchange),
      ...statusAttributes(call),
      ...rateLimitAttributes(call),
      ...(call.retryAfterMs === undefined ? {} : { 'retry.delay_ms': call.retryAfterMs }),
      ...errorAttributes(call.exchange, error),
    });
  });
}

/** A request is tried again. */
export function retried(host: InstrumentationHost, call: CcxtCall, attempt: number): void {
  guarded(host, 'ccxt retry', () => {
    emit(host, 'api.retry_attempt', {
      operation: call.operation,
      'trading.venue': venueOf(call.exchange),
      'retry.count': attempt,
    });
  });
}
