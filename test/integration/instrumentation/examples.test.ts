import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { expect, it, onTestFinished } from 'vitest';
import { runBot } from '../../support/bots/run-bot.ts';
import { readTrail, temporaryDirectory } from '../../support/trail.ts';
import { KRAKEN } from '../../support/venues/kraken.ts';
import { startVenue } from '../../support/venues/venue-server.ts';

const EXAMPLES = join(import.meta.dirname, '../../../examples');

it('the Express gateway: orders stand in the trace of their request, with its id', { timeout: 120_000 }, async () => {
  const app = join(EXAMPLES, 'express-gateway/app.mjs');
  expect(readFileSync(app, 'utf8')).not.toContain('risktrail');
  const venue = await startVenue(KRAKEN, ['success', 'insufficient']);
  onTestFinished(() => venue.close());
  const dataDir = temporaryDirectory();
  let stop: () => void = () => {};
  let listening: (port: string) => void = () => {};
  const port = new Promise<string>((resolve) => {
    listening = resolve;
  });
  const running = runBot(app, [], {
    dataDir,
    env: { KRAKEN_URL: venue.url, KRAKEN_KEY: 'a', KRAKEN_SECRET: 'c2VjcmV0', PORT: '0' },
    onStart: (signal) => {
      stop = () => signal('SIGTERM');
    },
    onOutput: (text) => {
      const found = /listening on (\d+)/.exec(text);
      if (found !== null) listening(found[1]!);
    },
  });
  const base = `http://127.0.0.1:${await port}`;
  const order = { symbol: 'BTC/USD', side: 'buy', amount: 0.5, price: 61_000 };
  const answers: number[] = [];
  for (const id of ['desk-1', 'desk-2']) {
    const headers = { 'content-type': 'application/json', 'x-request-id': id, connection: 'close' };
    const { status } = await fetch(`${base}/orders`, { method: 'POST', headers, body: JSON.stringify(order) });
    answers.push(status);
  }
  stop();
  await running;
  expect(answers).toEqual([201, 422]);
  const orders = (await readTrail(dataDir)).filter(({ event }) => event?.startsWith('order.'));
  expect(orders.map((one) => `${one['correlation.id']} ${one.event}`)).toEqual([
    'desk-1 order.intent',
    'desk-1 order.placed',
    'desk-2 order.intent',
    'desk-2 order.rejected',
  ]);
  expect(orders[0]?.trace_id).toBe(orders[1]?.trace_id);
  expect(orders[1]?.trace_id).not.toBe(orders[2]?.trace_id);
});

it('the breaker of the CommonJS service: its opening is seen', { timeout: 120_000 }, async () => {
  const app = join(EXAMPLES, 'opossum-pm2/app.cjs');
  expect(readFileSync(app, 'utf8')).not.toContain('risktrail');
  const server = createServer((_request, response) => response.writeHead(503).end());
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => {
    server.close();
    server.closeAllConnections();
  });
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const dataDir = temporaryDirectory();
  const env = { PRICE_URL: url, APP_PAUSE_MS: '1', APP_ROUNDS: '5' };
  const { code, out } = await runBot(app, [], { dataDir, env });
  expect(code).toBe(0);
  expect(out).toContain('Breaker is open');
  const changes = (await readTrail(dataDir)).filter(({ event }) => event === 'risk.circuit_breaker.state_change');
  expect(changes).toMatchObject([{ 'risk.circuit_breaker.name': 'prices' }]);
});
