/**
 * What the flag costs an order of ccxt, beside all that the venue takes: limit orders on Binance whose answer is there at once,
 * with the instrumentation and without it, in turn in one process; what that is made of; then a million of them, and what is
 * kept of each: nothing.
 *
 *     node --expose-gc bench/instrumented-order.bench.ts
 */
import { createRequire } from 'node:module';
import { join } from 'node:path';
import type { Exchange } from 'ccxt';
import ccxt from 'ccxt';
import { type RiskTrail, startRiskTrail } from '../src/index.ts';
import type { InstrumentationHost } from '../src/instrumentation/host.ts';
import { instrumentCcxt } from '../src/instrumentation/index.ts';
import { setCurrentTrail } from '../src/runtime/current.ts';
import { BINANCE } from '../test/support/venues/binance.ts';
import { breathe, median, quantile, table, temporaryDirectory, Yardstick } from './support.ts';

const ROUNDS = 161;
const CALLS = 100;
const KEPT_CALLS = Number(process.env['ORDER_CALLS'] ?? 1_000_000);
/** The code is compiled, and the young generation has its size, before anything is read. */
const WARMUP = 20_000;

const HEADERS = new Headers({ 'content-type': 'application/json', 'x-mbx-used-weight-1m': '17' });

/** A venue without latency: the test venue's answers as `fetch` gives them, each order filled. */
function answer(url: string, { method, body }: { readonly method: string; readonly body?: string }) {
  const { pathname, searchParams } = new URL(url);
  const request = { method, path: pathname, query: searchParams, headers: {}, body: body ?? '' };
  const { json } = BINANCE.isOrder(request) ? BINANCE.order('filled', request, number++) : BINANCE.other(request);
  const text = JSON.stringify(json);
  return Promise.resolve({ status: 200, statusText: 'OK', headers: HEADERS, text: async () => text });
}
let number = 0;

type Exchanges = Readonly<Record<'binance', new (options: object) => Exchange>>;

async function venue({ binance }: Exchanges): Promise<Exchange> {
  const options = { fetchMarkets: { types: ['spot'] } };
  const exchange = new binance({ apiKey: 'key', secret: 'secret', enableRateLimit: false, options });
  exchange.fetchImplementation = answer;
  await exchange.loadMarkets();
  return exchange;
}

/** Microseconds of an order, by the clock and of this thread's processor. */
interface Cost {
  readonly clock: number;
  readonly processor: number;
}

async function perOrder(exchange: Exchange, calls: number): Promise<Cost> {
  const start = performance.now();
  const cpu = process.threadCpuUsage();
  for (let i = 0; i < calls; i++) await exchange.createOrder('BTC/USDT', 'limit', 'buy', 0.5, 61_000);
  const { user, system } = process.threadCpuUsage(cpu);
  return { clock: ((performance.now() - start) * 1000) / calls, processor: (user + system) / calls };
}

const trail = await startRiskTrail({
  serviceName: 'bench',
  dataDir: join(temporaryDirectory(), 'trail'),
  handleSignals: false,
});
// The copies of ccxt for `import` and for `require`, of one source: one is instrumented, the other never is.
const plain = await venue(createRequire(import.meta.url)('ccxt') as Exchanges);
const before = await venue(ccxt as unknown as Exchanges);
const yardstick = new Yardstick();
/** The copy that is never instrumented, and another exchange, in turn. @param each called behind the other's orders of each round */
async function compare(others: Exchange, each = () => {}) {
  const rounds: { readonly alone: Cost; readonly other: Cost; readonly readings: readonly number[] }[] = [];
  for (const exchange of [plain, others]) await perOrder(exchange, WARMUP);
  each();
  for (let round = 0; round < ROUNDS; round++) {
    const readings = [yardstick.read()];
    const alone = await perOrder(plain, CALLS);
    readings.push(yardstick.read());
    await breathe();
    readings.push(yardstick.read());
    const other = await perOrder(others, CALLS);
    readings.push(yardstick.read());
    each();
    await breathe();
    rounds.push({ alone, other, readings });
  }
  const isClear = yardstick.clear();
  const clear = rounds.filter(({ readings }) => readings.every(isClear));
  const list = (pick: (one: (typeof rounds)[number]) => number) => clear.map(pick);
  const row = (of: keyof Cost) => ({
    alone: median(list((one) => one.alone[of])),
    other: median(list((one) => one.other[of])),
    difference: median(list((one) => one.other[of] - one.alone[of])),
    most: quantile(
      list((one) => one.other[of] - one.alone[of]),
      0.9,
    ),
  });
  const inAll = median(rounds.map((one) => one.other.clock - one.alone.clock));
  return { clock: row('clock'), processor: row('processor'), rounds: clear.length, inAll };
}

const control = await compare(before);
instrumentCcxt(ccxt);
const instrumented = await venue(ccxt as unknown as Exchanges);
const recordsBefore = trail.health().journal!.records;
const ours = await compare(instrumented);
const records = (trail.health().journal!.records - recordsBefore) / (ROUNDS * CALLS + WARMUP);

console.log(`### An order through ccxt without any latency of the venue, ${records.toFixed(1)} audit records each\n`);
console.log(
  table(
    [
      `µs, median of the ${ours.rounds} rounds of ${ROUNDS} with the processor ours`,
      'by the clock',
      'of the processor',
    ],
    [
      ['ccxt alone (the copy for `require`)', ours.clock.alone, ours.processor.alone],
      ['ccxt with the instrumentation (the copy for `import`)', ours.clock.other, ours.processor.other],
      ['**ours** (must be ≤ 60)', ours.clock.difference, ours.processor.difference],
      ['ours, 90 % of these rounds below', ours.clock.most, ours.processor.most],
      ['ours, median of all rounds', ours.inAll, ''],
      ['the two copies before, which were alike', control.clock.difference, control.processor.difference],
    ],
  ),
);

/** Microseconds that each part has taken since they were last taken out. */
const spent = new Map<string, number>();
function spend(part: string, sinceMs: number): void {
  spent.set(part, (spent.get(part) ?? 0) + (performance.now() - sinceMs) * 1000);
}

const host = trail as unknown as InstrumentationHost;
/** The trail, with a watch on what the instrumentation asks of it. */
const watched: InstrumentationHost = {
  settings: host.settings,
  emit(name, attributes) {
    const since = performance.now();
    const recordId = host.emit(name, attributes);
    spend(`\`${name}\``, since);
    return recordId;
  },
  writeAhead(name, attributes, act) {
    const since = performance.now();
    return host.writeAhead(name, attributes, (ahead) => {
      spend(`\`${name}\``, since);
      return act(ahead);
    });
  },
  withContext(given, work) {
    const since = performance.now();
    return host.withContext(given, () => {
      spend('its context, with a trace id', since);
      return work();
    });
  },
  openOrders: () => host.openOrders(),
  knowExchange: (exchange) => host.knowExchange?.(exchange),
  checkOrders: (exchange, orders) => host.checkOrders?.(exchange, orders),
};

setCurrentTrail(watched as unknown as RiskTrail);
const rounds: Map<string, number>[] = [];
const parted = await compare(instrumented, () => {
  rounds.push(new Map(spent));
  spent.clear();
});
setCurrentTrail(trail);
// The first is the warm-up.
const parts = [...rounds.at(-1)!.keys()].map((part): [string, number] => [
  part,
  median(rounds.slice(1).map((round) => round.get(part)! / CALLS)),
]);
const rest = parted.clock.difference - parts.reduce((sum, [, micros]) => sum + micros, 0);
console.log(`\n### What that is made of, beside ${parted.clock.alone.toFixed(1)} µs of ccxt's\n`);
console.log(table(['µs by the clock', 'an order'], [...parts, ['what lies around them in ccxt', rest]]));

const { gc } = globalThis;
if (gc === undefined) throw new Error('run with --expose-gc');
async function kept(): Promise<number> {
  await trail.flush();
  for (let i = 0; i < 5; i++) {
    await breathe();
    gc!();
  }
  const { heapUsed, arrayBuffers } = process.memoryUsage();
  return (heapUsed + arrayBuffers) / 1e6;
}

await perOrder(instrumented, WARMUP);
const rows: [string, number][] = [['before', await kept()]];
for (const share of ['half', 'all']) {
  await perOrder(instrumented, KEPT_CALLS / 2);
  rows.push([`after ${share} of them`, await kept()]);
}
const bytes = ((rows[2]![1] - rows[0]![1]) * 1e6) / KEPT_CALLS;
rows.push(['bytes a call', bytes]);
console.log(`\n### Memory in use over ${KEPT_CALLS.toLocaleString('en')} orders, after garbage collection\n`);
console.log(table(['when', 'MB'], rows));
await trail.close();
