import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import type { FlatRecord } from '../../src/analysis/flat-record.ts';
import { addKillCommand } from '../../src/cli/commands/kill.ts';
import { writeKillRequest } from '../../src/runtime/kill/kill-requests.ts';
import { runBot } from '../support/bots/run-bot.ts';
import { runCommand } from '../support/command.ts';
import { readBack, readTrail, startTestTrail, temporaryDirectory } from '../support/trail.ts';
import { startKillVenue } from '../support/venues/kill-venue.ts';
import { KRAKEN } from '../support/venues/kraken.ts';
import { startVenue } from '../support/venues/venue-server.ts';

const WHO = ['--actor', 'A. Trader', '--reason', 'wrong prices'];
const POLL = { timeout: 60_000 };

/** A service as a process of its own. @returns it, and the state of its gate at the start */
async function startBot(
  dataDir: string,
  url: string,
  options: object = {},
): Promise<{ bot: ChildProcess; state: string }> {
  const bot = spawn(
    process.execPath,
    [join(import.meta.dirname, '../support/kill-child.ts'), dataDir, url, JSON.stringify(options)],
    { env: { PATH: process.env['PATH'] }, stdio: ['ignore', 'pipe', 'inherit'] },
  );
  onTestFinished(() => void bot.kill('SIGKILL'));
  const [line] = (await once(bot.stdout!, 'data')) as [Buffer];
  return { bot, state: line.toString().trim().split(' ').at(-1)! };
}

async function killNow(bot: ChildProcess): Promise<void> {
  const gone = once(bot, 'exit');
  bot.kill('SIGKILL');
  await gone;
}

const kill = (...args: string[]) => runCommand(addKillCommand, ['kill', ...args]);
const filesIn = (dataDir: string) => readdirSync(join(dataDir, 'kill'));
const clientIds = (records: readonly FlatRecord[]) =>
  records.filter(({ event }) => event === 'order.intent').map((one) => one['trading.order.client_id']);

describe('risktrail kill', { timeout: 120_000 }, () => {
  it('halts a running process, has it cancel and flatten, and says that nothing is left', async () => {
    const dataDir = temporaryDirectory();
    const venue = await startKillVenue({ open: ['a', 'b'], positions: { 'BTC/USDT': 2 } });
    await startBot(dataDir, venue.url);
    const { status, out } = await kill(dataDir, ...WHO, '--flatten');
    expect(out).toMatch(/^bot\/[0-9a-f-]+: trading is halted\n/);
    expect(out).toContain('loopback: 2 of 2 orders, 1 of 1 positions; nothing is left');
    expect(status).toBe(0);
    expect(venue.positions).toEqual({ 'BTC/USDT': 0 });
    expect(filesIn(dataDir)).toEqual([]);
    const halts = (await readTrail(dataDir)).filter((one) => one['risk.action'] === 'halt');
    expect(halts.map((one) => [one['risk.actor'], one['risk.reason']])).toEqual([['A. Trader', 'wrong prices']]);
  });

  it('tells what is left, and of a process that knows no exchange', async () => {
    const dataDir = temporaryDirectory();
    const venue = await startKillVenue({ open: ['a', 'b'], script: { 'cancelOrder b': ['refused'] } });
    const { bot } = await startBot(dataDir, venue.url);
    const first = await kill(dataDir, ...WHO);
    expect(first.out).toContain('loopback: 1 of 2 orders, 0 of 0 positions; left: b');
    expect(first.status).toBe(1);
    await killNow(bot);
    await startBot(dataDir, venue.url, { arm: false });
    const second = await kill(dataDir, ...WHO, '--json');
    expect(second.status).toBe(2);
    expect(JSON.parse(second.out).answers).toMatchObject([{ state: 'done', venues: [], reports: [] }]);
  });

  it('reaches the exchange of a program that was never changed', async () => {
    const dataDir = temporaryDirectory();
    const venue = await startVenue(KRAKEN, ['slow']);
    onTestFinished(() => venue.close());
    let stop: () => void = () => {};
    let placed: () => void = () => {};
    const isPlacing = new Promise<void>((resolve) => {
      placed = resolve;
    });
    const bot = runBot(join(import.meta.dirname, '../support/bots/bot.mjs'), ['kraken', venue.url, '10000'], {
      dataDir,
      onStart: (signal) => {
        stop = () => signal('SIGKILL');
      },
      onOutput: (text) => {
        if (text.includes('placed')) placed();
      },
    });
    await isPlacing;
    const { status, out } = await kill(dataDir, ...WHO);
    stop();
    await bot;
    expect(out).toMatch(/kraken: \d+ of \d+ orders, 0 of 0 positions; nothing is left/);
    expect(status).toBe(0);
    expect(venue.requests.some(({ path }) => path === '/0/private/OpenOrders')).toBe(true);
  });

  it('says so at once where nobody runs, and leaves nothing behind', async () => {
    const trail = await startTestTrail();
    await trail.close();
    await expect(kill(trail.dataDir, ...WHO)).rejects.toMatchObject({ code: 'KILL_NOT_ANSWERED' });
    await expect(kill(trail.dataDir, '--actor', ' ', '--reason', 'x')).rejects.toThrow(/--actor/);
    expect(readdirSync(trail.dataDir)).not.toContain('kill');
  });

  it('takes no request that somebody else could have written', async () => {
    const trail = await startTestTrail();
    const request = { id: 'r1', createdMs: Date.now() + 60_000, actor: 'x', reason: 'y', flatten: false };
    writeKillRequest(trail.dataDir, request);
    chmodSync(join(trail.dataDir, 'kill', 'r1.request.json'), 0o666);
    await expect.poll(() => trail.health().failures.count, POLL).toBeGreaterThan(0);
    expect(trail.gate.state()).toBe('ACTIVE');
    const refused = (await readBack(trail)).find((one) => one['risk.reason.code'] === 'KILL_REQUEST_REFUSED');
    expect(refused?.['risk.reason']).toMatch(/can be written by others/);
  });

  it('is gone on with after kill -9 in its midst, and no closing order is sent twice', async () => {
    const dataDir = temporaryDirectory();
    const venue = await startKillVenue({
      open: ['a', 'b'],
      positions: { 'BTC/USDT': 2 },
      // The first closing order never arrives, and the process is killed while it waits for the answer.
      script: { createOrder: ['dropped', 'ok'] },
    });
    const { bot, state } = await startBot(dataDir, venue.url, {
      kill: { flatten: true, timeoutMs: 60_000 },
      arm: false,
    });
    expect(state).toBe('HALTED');
    await expect.poll(() => venue.calls, POLL).toContain('createOrder BTC/USDT');
    await killNow(bot);
    expect(venue.positions).toEqual({ 'BTC/USDT': 2 });
    const again = await startBot(dataDir, venue.url);
    expect(again.state).toBe('HALTED');
    await expect.poll(() => venue.positions, POLL).toEqual({ 'BTC/USDT': 0 });
    await expect.poll(() => filesIn(dataDir), POLL).toEqual([]);
    await killNow(again.bot);
    expect(venue.orders.filter(({ side }) => side === 'sell')).toHaveLength(1);
    const ids = clientIds(await readTrail(dataDir));
    expect(ids).toHaveLength(2);
    expect(new Set(ids).size).toBe(1);
  });

  it('after kill -9 an executed closing order without an answer is not sent again', async () => {
    const dataDir = temporaryDirectory();
    const venue = await startKillVenue({ positions: { 'BTC/USDT': 2 }, script: { createOrder: ['lost'] } });
    const { bot } = await startBot(dataDir, venue.url, { kill: { flatten: true }, arm: false });
    await expect.poll(() => venue.positions, POLL).toEqual({ 'BTC/USDT': 0 });
    await killNow(bot);
    const again = await startBot(dataDir, venue.url, { onHalted: true, flatten: true });
    await expect
      .poll(async () => (await readTrail(dataDir)).filter((one) => one['risk.action'] === 'report').length, POLL)
      .toBeGreaterThan(0);
    await killNow(again.bot);
    expect(venue.calls.filter((one) => one.startsWith('createOrder'))).toHaveLength(1);
  });
});
