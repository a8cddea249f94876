/**
 * A bot that survives kill -9 at any point without sending an order twice, forgetting one, or passing a limit.
 *
 * Everything that it has to remember stands in its trail; it keeps no file of its own. Per signal, in this order:
 *
 *   1. the check: may the order be sent, and how much of it
 *   2. `orderPlaced`: the limits count it from now on, whether it arrives or not
 *   3. `writeAhead('order.intent', …)`: what is about to be sent, under a client order id that follows from the signal
 *   4. the order goes out
 *   5. `recordFill`: in one record it leaves the orders on their way and its result joins the day's
 *   6. `order.filled`: the intent has its end
 *
 * After a kill, what was reached is plain: an order on its way without an intent was never sent; an intent whose order is on
 * its way may have been sent, so it is sent again under the same id, which the venue answers with the first; an intent whose
 * order is no longer on its way was filled and counted, and only its end is missing.
 *
 * Arguments: data directory, port of the venue, signals in all. `KILL_AT=<point>:<count>` kills it when it has come to a point
 * so often. Exit status: 0 all signals done, 10 the day's loss is used up and the position closed.
 */
import { setImmediate as nextTurn } from 'node:timers/promises';
import { startRiskTrail } from '../../src/index.ts';
import { LIMITS, type Signal, signalOf } from './signals.ts';
import type { Book, BookedOrder } from './venue.ts';

const [dataDir, port, count] = process.argv.slice(2) as [string, string, string];
const SYMBOL = 'BTC/USDT';
const LIMIT_REACHED = 10;

const [killPoint, killCount] = (process.env['KILL_AT'] ?? '').split(':');
let toGo = Number(killCount ?? 0);

/** A place at which the bot may be killed. */
function point(name: string): void {
  if ((name === killPoint || killPoint === 'any') && --toGo === 0) process.kill(process.pid, 'SIGKILL');
}

const venue = `http://127.0.0.1:${port}`;

async function ask<T>(path: string, init?: RequestInit): Promise<T> {
  const response = await fetch(`${venue}${path}`, init);
  if (!response.ok) throw new Error(`the venue answered ${response.status}`);
  return (await response.json()) as T;
}

const trail = await startRiskTrail({
  serviceName: 'write-ahead-bot',
  dataDir,
  logLevel: 'off',
  durability: 'disk',
  durableEvents: ['order.intent'],
});
const limits = trail.portfolioLimits({
  symbolDelta: { max: LIMITS.position },
  dailyLoss: { max: Number(process.env['DAILY_LOSS'] ?? LIMITS.dailyLoss), onBreach: 'REDUCING' },
});

let { position, averagePrice } = await ask<Book>('/book');

async function send(order: object): Promise<BookedOrder> {
  const reply = ask<BookedOrder>('/orders', { method: 'POST', body: JSON.stringify(order) });
  // Whoever dies here can't know whether it arrived.
  for (let turn = 0; turn < 3; turn++) await nextTurn();
  point('sent');
  return reply;
}

/** Steps 5 and 6. */
function settle(order: BookedOrder): void {
  point('answered');
  const { clientOrderId, id, side, quantity, price, pnl } = order;
  if (Object.hasOwn(limits.snapshot().pending, clientOrderId)) {
    limits.recordFill({ clientOrderId, symbol: SYMBOL, side, quantity, price, pnl });
  }
  point('counted');
  trail.emit('order.filled', {
    'trading.symbol': SYMBOL,
    'trading.side': side,
    'trading.quantity': quantity,
    'trading.price': price,
    'trading.pnl': pnl,
    'trading.order.id': id,
    'trading.order.client_id': clientOrderId,
    'trading.order.status': 'filled',
  });
  position = order.position;
  point('told');
}

/** What an earlier run had begun. */
async function finishBegun(): Promise<void> {
  const intents = trail.openOrders();
  for (const clientOrderId of Object.keys(limits.snapshot().pending)) {
    point('cleaning');
    if (!intents.some((one) => one.clientOrderId === clientOrderId)) limits.orderDone(clientOrderId);
  }
  for (const { clientOrderId = '', side, quantity, price } of intents) {
    point('finishing');
    const signal = Number(clientOrderId.slice(clientOrderId.indexOf('-') + 1));
    settle(await send({ clientOrderId, signal, side, quantity, price }));
  }
  ({ position, averagePrice } = await ask<Book>('/book'));
}

/** The signal that comes next: behind the newest that an order was sent for, by what the venue and the trail hold. */
async function nextSignal(): Promise<number> {
  const { orders } = await ask<Book>('/book');
  return orders.reduce((next, one) => Math.max(next, one.signal + 1), 0);
}

async function trade({ signal, side, quantity, price }: Signal): Promise<void> {
  const clientOrderId = `signal-${signal}`;
  const order = { symbol: SYMBOL, side, quantity, price, clientOrderId };
  const positions = position === 0 ? [] : [{ symbol: SYMBOL, quantity: position, price: averagePrice }];
  point('before');
  const decision = limits.checkEntry({ positions }, order);
  point('checked');
  if (!decision.allowed) return;
  limits.orderPlaced({ ...order, quantity: decision.quantity });
  point('counting');
  const intent = {
    'trading.symbol': SYMBOL,
    'trading.side': side,
    'trading.quantity': decision.quantity,
    'trading.price': price,
    'trading.order.client_id': clientOrderId,
    ...(decision.recordId === undefined ? {} : { 'risk.cause.record_id': decision.recordId }),
  };
  const booked = await trail.writeAhead('order.intent', intent, () => {
    point('intended');
    return send({ clientOrderId, signal, side, quantity: decision.quantity, price });
  });
  settle(booked);
}

await finishBegun();
process.stdout.write('ready\n');
for (let signal = await nextSignal(); signal < Number(count); signal++) {
  await trade(signalOf(signal));
  if (position === 0 && trail.gate.state() === 'REDUCING') {
    await trail.close('the loss of the day is used up');
    process.exit(LIMIT_REACHED);
  }
}
await trail.close('done');
