/** Walks every exchange of the installed ccxt: does an order that is created there get seen, exactly once? */
import { readFileSync } from 'node:fs';
import ccxt from 'ccxt';
import { beforeAll, describe, expect, it } from 'vitest';
import { instrumentCcxt } from '../../src/instrumentation/index.ts';
import { listenAsTrail } from '../support/listening-host.ts';

type ExchangeClass = new (options: object) => Exchange;
interface Exchange {
  readonly id: string;
  markets: unknown;
  fetch: unknown;
  loadMarkets: unknown;
  createOrder(...args: unknown[]): Promise<unknown>;
  createLimitBuyOrder(...args: unknown[]): Promise<unknown>;
}

const heard = listenAsTrail();
const { events } = heard;

beforeAll(() => void instrumentCcxt(ccxt));

/** REST and Pro alike. */
const classes = [
  ...ccxt.exchanges.map((id: string) => ['rest', id] as const),
  ...Object.keys(ccxt.pro)
    .filter((id) => id !== 'exchanges')
    .map((id) => ['pro', id] as const),
];

/** Creates an order and tells how often it was seen: by its intents, and by what became of each. */
async function seen(kind: 'rest' | 'pro', id: string): Promise<string> {
  const Class = (kind === 'rest' ? ccxt : ccxt.pro)[id as never] as unknown as ExchangeClass;
  if (typeof Class !== 'function') return 'no class';
  const exchange = new Class({
    apiKey: 'k',
    secret: 's',
    uid: 'u',
    password: 'p',
    privateKey: `0x${'1'.repeat(64)}`,
    walletAddress: `0x${'2'.repeat(40)}`,
    enableRateLimit: false,
  });
  // Nothing leaves: whatever an exchange asks first fails as a connection does that was refused.
  exchange.fetch = async () => {
    throw Object.assign(new Error('connect ECONNREFUSED'), { code: 'ECONNREFUSED' });
  };
  const results: string[] = [];
  for (const call of [
    () => exchange.createOrder('BTC/USDT', 'limit', 'buy', 1, 100),
    () => exchange.createLimitBuyOrder('BTC/USDT', 1, 100),
  ]) {
    events.length = 0;
    await Promise.resolve()
      .then(call)
      .catch(() => undefined);
    const intents = events.filter(({ name }) => name === 'order.intent');
    const outcomes = events.filter(({ name }) => /^order\.(placed|rejected|outcome_unknown)$/.test(name));
    const [intent] = intents;
    const right =
      intents.length === 1 &&
      outcomes.length === 1 &&
      intent?.attributes['trading.symbol'] === 'BTC/USDT' &&
      intent.attributes['trading.side'] === 'buy' &&
      intent.attributes['trading.quantity'] === 1 &&
      intent.attributes['trading.price'] === 100 &&
      outcomes[0]?.attributes['risk.cause.record_id'] !== undefined;
    results.push(right ? 'once' : `intents ${intents.length}, outcomes ${outcomes.length}`);
  }
  return results.every((one) => one === 'once') ? 'once' : results.join('; ');
}

describe('every exchange of the installed ccxt', () => {
  it('has its orders seen exactly once, but for those of the list', async () => {
    const missed: Record<string, string> = {};
    for (const [kind, id] of classes) {
      const result = await seen(kind, id);
      if (result !== 'once') missed[`${kind}.${id}`] = result;
    }
    const listed = JSON.parse(readFileSync(new URL('./missed.json', import.meta.url), 'utf8')) as Record<
      string,
      string
    >;
    expect(Object.keys(missed).sort(), JSON.stringify(missed)).toEqual(Object.keys(listed).sort());
    expect(classes.length).toBeGreaterThan(150);
    expect(Object.keys(missed).length / classes.length).toBeLessThanOrEqual(0.05);
  }, 300_000);
});
