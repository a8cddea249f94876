import { spawnSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import type { FlatRecord } from '../../../src/analysis/flat-record.ts';
import { runBot } from '../../support/bots/run-bot.ts';
import { readTrail, temporaryDirectory } from '../../support/trail.ts';
import { KRAKEN } from '../../support/venues/kraken.ts';
import { startVenue, type Venue } from '../../support/venues/venue-server.ts';

const ROOT = join(import.meta.dirname, '../../..');
const CLI = join(ROOT, 'src/cli/main.ts');
/** Examples import the package by its name, as a program does; here its source stands for it. */
const BY_NAME = ['--import', new URL('../../support/bots/by-name.mjs', import.meta.url).href];
const REGISTER = new URL('../../../src/register.ts', import.meta.url).href;

/** Kraken with an open order on the bot's terms: without a client id nobody can say that it is the bot's. */
const LISTING: Venue = {
  ...KRAKEN,
  other(request) {
    if (request.path !== '/0/private/OpenOrders') return KRAKEN.other(request);
    const order = {
      ...{ refid: null, userref: null, status: 'open', opentm: Date.now() / 1000, starttm: 0, expiretm: 0 },
      descr: { pair: 'XBTUSD', type: 'buy', ordertype: 'limit', price: '62900.0', price2: '0', leverage: 'none' },
      ...{ vol: '0.01', vol_exec: '0', cost: '0', fee: '0', price: '0', stopprice: '0', limitprice: '0' },
      ...{ misc: '', oflags: 'fciq' },
    };
    return { json: { error: [], result: { open: { 'OABC-1-1': order } } } };
  },
};

const names = (records: readonly FlatRecord[], pattern: RegExp) =>
  records.filter(({ event }) => pattern.test(event ?? '')).map(({ event }) => event);

describe('the momentum bot with risk layers', { timeout: 120_000 }, () => {
  const BOT = join(ROOT, 'examples/ccxt-momentum-layers/bot.mjs');
  const start = (
    url: string,
    dataDir: string,
    more: Readonly<Record<string, string>> = {},
    onStart?: (kill: (signal: NodeJS.Signals) => void) => void,
  ) => {
    const env = {
      KRAKEN_URL: url,
      KRAKEN_KEY: 'a',
      KRAKEN_SECRET: 'c2VjcmV0',
      BOT_ROUNDS: '1',
      BOT_PAUSE_MS: '1',
      ...more,
    };
    const flags = [...BY_NAME, '--import', REGISTER];
    return runBot(BOT, [], { dataDir, env, flags, ...(onStart === undefined ? {} : { onStart }) });
  };

  it('check, intent and outcome of an order stand in one trace; one that is too large is refused and never sent', async () => {
    const venue = await startVenue(KRAKEN, ['success']);
    onTestFinished(() => venue.close());
    const dataDir = temporaryDirectory();
    expect(await start(venue.url, dataDir)).toMatchObject({ code: 0, out: 'bought OKRAKN-00000-000001\n', err: '' });
    const records = await readTrail(dataDir);
    const check = records.find(({ event }) => event === 'risk.portfolio_limit.check');
    const its = records.filter((one) => one.trace_id === check?.trace_id);
    expect(names(its, /^order\.|limit\.check|stop\.add/)).toEqual([
      ...['risk.portfolio_limit.check', 'order.intent', 'order.placed', 'risk.trailing_stop.add'],
    ]);
    const large = await start(venue.url, temporaryDirectory(), { BOT_AMOUNT: '0.5' });
    expect(large).toMatchObject({ code: 0, out: 'refused: POSITION_PERCENT_EXCEEDED\n' });
    expect(venue.executed()).toBe(1);
  });

  it('killed on the way, the next start asks for the order and adds no risk while the venue cannot tell', async () => {
    const venue = await startVenue(LISTING, ['timeout']);
    onTestFinished(() => venue.close());
    const dataDir = temporaryDirectory();
    const killed = await start(venue.url, dataDir, {}, (kill) => {
      const timer = setInterval(() => {
        if (venue.executed() === 0) return;
        clearInterval(timer);
        kill('SIGKILL');
      }, 10);
    });
    expect(killed.signal).toBe('SIGKILL');
    const again = await start(venue.url, dataDir);
    expect(again).toMatchObject({
      code: 0,
      out: 'after the restart: an order without an id unknown\nrefused: TRADING_REDUCING\n',
    });
    const records = await readTrail(dataDir);
    expect(names(records, /^order\.|reconciliation/)).toEqual([
      // Each start asks; the first had nothing to ask for.
      ...['risk.reconciliation.orders', 'order.intent', 'order.outcome_unknown', 'risk.reconciliation.orders'],
    ]);
    expect(venue.executed()).toBe(1);
  });
});

describe('the daemon with streams of its own', { timeout: 120_000 }, () => {
  it('seeds 002 and 004: daemon, enforcement, API and error streams, audit, trades, system, errors and performance', async () => {
    let asked = 0;
    const broker = createServer((request, response) => {
      if (request.method === 'POST') {
        response.end('{}');
        return;
      }
      asked++;
      // First a loss that breaks the rule, then an error, then flat.
      if (asked === 2) response.writeHead(503).end();
      else response.end(JSON.stringify(asked === 1 ? [{ symbol: 'ES', quantity: 2, price: 4500, pnl: -640 }] : []));
    });
    await new Promise<void>((resolve) => broker.listen(0, '127.0.0.1', resolve));
    onTestFinished(() => {
      broker.close();
      broker.closeAllConnections();
    });
    const dataDir = temporaryDirectory();
    const { port } = broker.address() as AddressInfo;
    const daemon = join(ROOT, 'examples/daemon-streams/daemon.ts');
    const { code, err } = await runBot(daemon, [], {
      dataDir,
      flags: [],
      env: {
        ...{ BROKER_URL: `http://127.0.0.1:${port}`, BROKER_KEY: 'topsecretkeyofthebroker', OTEL_SERVICE_NAME: '' },
        // Every call is slow here.
        ...{ SLOW_MS: '0', DAEMON_ROUNDS: '3', DAEMON_PAUSE_MS: '1' },
      },
    });
    expect({ code, err }).toEqual({ code: 0, err: '' });
    const breach = (await readTrail(dataDir)).find(({ event }) => event === 'enforcement.breach');
    expect(breach).toMatchObject({ 'trading.account.id': 'ACC123', 'correlation.id': 'ACC123-0' });

    const split = (into: string): Record<string, readonly string[]> => {
      const logs = temporaryDirectory();
      const args = into.split(' ').flatMap((one) => ['--into', one]);
      const { status, stderr } = spawnSync(
        process.execPath,
        [CLI, 'tail', dataDir, '--split', logs, '--no-follow', ...args],
        { encoding: 'utf8' },
      );
      expect({ status, stderr }).toMatchObject({ status: 0 });
      const files = readdirSync(logs).filter((one) => one.endsWith('.jsonl'));
      return Object.fromEntries(
        files.map((name) => {
          const text = readFileSync(join(logs, name), 'utf8');
          expect(text).not.toContain('topsecret');
          return [
            name,
            text
              .split('\n')
              .filter(Boolean)
              .map((one) => (JSON.parse(one) as FlatRecord).event ?? ''),
          ];
        }),
      );
    };
    const enforcement = ['enforcement.breach', 'enforcement.action', 'enforcement.action'];
    const errors = ['api.error', 'system.error'];
    const streams = split('daemon=* enforcement=enforcement api=api error=error');
    expect(streams).toMatchObject({ 'enforcement.jsonl': enforcement, 'error.jsonl': errors });
    expect(streams['api.jsonl']).toEqual([
      ...['api.broker_answered', 'api.broker_answered', 'api.error', 'api.broker_answered'],
    ]);
    expect(streams['daemon.jsonl']).toEqual(
      expect.arrayContaining(['daemon.account_checked', 'system.start', ...enforcement]),
    );
    const files = split('audit=* trades=trade,order,position system=system errors=error performance=performance');
    expect(files).toMatchObject({ 'trades.jsonl': ['trade.exit'], 'errors.jsonl': errors });
    expect(files['audit.jsonl']).toEqual(streams['daemon.jsonl']);
    expect(files['performance.jsonl']).toEqual(Array(4).fill('performance.latency'));
    expect(files['system.jsonl']).toEqual(expect.arrayContaining(['system.start', 'system.error', 'system.stop']));
    // And the same streams by a filter.
    const { stdout } = spawnSync(process.execPath, [CLI, 'events', dataDir, '--category', 'enforcement', '--json'], {
      encoding: 'utf8',
    });
    expect(
      stdout
        .trim()
        .split('\n')
        .map((one) => (JSON.parse(one) as FlatRecord).event),
    ).toEqual(enforcement);
  });
});
