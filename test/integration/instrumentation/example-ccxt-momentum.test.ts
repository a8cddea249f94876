import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { addReconcileOrdersCommand } from '../../../src/cli/commands/reconcile-orders.ts';
import { runBot } from '../../support/bots/run-bot.ts';
import { runCommand } from '../../support/command.ts';
import { readTrail, temporaryDirectory } from '../../support/trail.ts';
import { KRAKEN } from '../../support/venues/kraken.ts';
import { startVenue } from '../../support/venues/venue-server.ts';

const BOT = join(import.meta.dirname, '../../../examples/ccxt-momentum/bot.mjs');

describe('the ccxt example', () => {
  it('has no line about us, and its orders are seen, each in one trace', async () => {
    expect(readFileSync(BOT, 'utf8')).not.toContain('risktrail');
    const venue = await startVenue(KRAKEN, ['insufficient', 'success']);
    onTestFinished(() => venue.close());
    const dataDir = temporaryDirectory();
    const env = {
      KRAKEN_URL: venue.url,
      KRAKEN_KEY: 'a',
      KRAKEN_SECRET: 'c2VjcmV0',
      BOT_ROUNDS: '2',
      BOT_PAUSE_MS: '1',
    };
    const result = await runBot(BOT, [], { dataDir, env });
    expect(result).toMatchObject({ code: 0, out: 'bought OKRAKN-00000-000002\n', err: 'InsufficientFunds\n' });
    const orders = (await readTrail(dataDir)).filter(({ event }) => event?.startsWith('order.'));
    expect(orders.map(({ event }) => event)).toEqual([
      'order.intent',
      'order.rejected',
      'order.intent',
      'order.placed',
    ]);
    expect(orders[0]?.trace_id).toBe(orders[1]?.trace_id);
    expect(orders[2]?.trace_id).toBe(orders[3]?.trace_id);
    expect(orders[0]?.trace_id).not.toBe(orders[2]?.trace_id);
    expect(orders[3]?.['api.throttle_wait_ms']).toBeGreaterThanOrEqual(0);

    expect(await runCommand(addReconcileOrdersCommand, ['reconcile-orders', dataDir])).toMatchObject({ status: 0 });
  });

  it('killed on the way leaves an order that reconcile-orders lists', async () => {
    const venue = await startVenue(KRAKEN, ['timeout']);
    onTestFinished(() => venue.close());
    const dataDir = temporaryDirectory();
    const env = {
      KRAKEN_URL: venue.url,
      KRAKEN_KEY: 'a',
      KRAKEN_SECRET: 'c2VjcmV0',
      BOT_ROUNDS: '2',
      BOT_PAUSE_MS: '1',
    };
    const result = await runBot(BOT, [], {
      dataDir,
      env,
      onStart(kill) {
        const timer = setInterval(() => {
          if (venue.executed() === 0) return;
          clearInterval(timer);
          kill('SIGKILL');
        }, 10);
      },
    });
    expect(result.signal).toBe('SIGKILL');
    const { status, out } = await runCommand(addReconcileOrdersCommand, ['reconcile-orders', dataDir, '--json']);
    expect(status).toBe(1);
    expect(JSON.parse(out)).toMatchObject([
      { venue: 'kraken', symbol: 'BTC/USD', side: 'buy', quantity: 0.01, outcome: 'none', service: 'bot' },
    ]);
    const table = await runCommand(addReconcileOrdersCommand, ['reconcile-orders', dataDir]);
    expect(table.out).toContain('kraken');
  });
});
