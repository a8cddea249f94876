import { copyFileSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { addRestoreCommand } from '../../src/cli/commands/restore.ts';
import { recordsOf, writeCollectorFiles } from '../support/collector-copy.ts';
import { runCommand } from '../support/command.ts';
import { readTrail, startTestTrail, temporaryDirectory } from '../support/trail.ts';
import { verifyDirectory } from '../support/verify.ts';

const BREAKER = { failureThreshold: 2, cooldownMs: 600_000 } as const;
const STOPS = { activationPct: 2, trailingPct: 1 } as const;
const LIMITS = { dailyLoss: { max: 1000 } } as const;

/** A service that was at work on a host that is lost: breaker open, a stop with its peak, half of the day's loss. */
async function lostHost() {
  const dataDir = temporaryDirectory();
  const trail = await startTestTrail({ serviceName: 'desk', dataDir, segmentMaxBytes: 20_000 });
  const stops = trail.trailingStops(STOPS);
  stops.add({ id: 'p1', symbol: 'AAPL', side: 'long', entryPrice: 100, quantity: 10 });
  stops.tick('AAPL', 110);
  trail.portfolioLimits(LIMITS).recordPnl(-600);
  for (let i = 0; i < 100; i++) {
    trail.emit('trade.entry', {
      'trading.symbol': 'AAPL',
      'trading.side': 'buy',
      'trading.quantity': i,
      'trading.price': 1,
    });
  }
  const breaker = trail.circuitBreaker('broker', BREAKER);
  breaker.failure();
  breaker.failure();
  const { openUntilMs } = breaker.snapshot().state;
  await trail.flush();
  // What comes behind the newest checkpoint was shipped as well.
  trail.emit('order.intent', {
    'trading.symbol': 'AAPL',
    'trading.side': 'buy',
    'trading.quantity': 1,
    'trading.order.client_id': 'c1',
  });
  const records = recordsOf(dataDir);
  const vkey = join(temporaryDirectory(), 'desk.vkey');
  copyFileSync(join(dataDir, 'verifier.vkey'), vkey);
  await trail.close();
  return { records, vkey, stream: trail.stream, openUntilMs };
}

const restore = (...args: readonly string[]) => runCommand(addRestoreCommand, ['restore', ...args]);

describe('risktrail restore', () => {
  it("rebuilds a data directory from a Collector's files alone; a start there goes on where the lost host was", async () => {
    const { records, vkey, stream, openUntilMs } = await lostHost();
    const from = writeCollectorFiles(join(temporaryDirectory(), 'otel'), records);
    const to = join(temporaryDirectory(), 'new-host');
    const result = await restore('--from', from, '--to', to, '--vkey', vkey);
    expect([result.status, result.err]).toEqual([0, '']);
    expect(result.out).toContain(`${records.length} records through ${records.length - 1}`);
    expect(await verifyDirectory(to)).toEqual({ exitCode: 0, findings: ['UNSIGNED_TAIL', 'NOT_CLOSED'] });
    const [restored] = (await readTrail(to)).filter((record) => record.event === 'audit.stream_restored');
    expect(restored).toMatchObject({
      'audit.previous.stream': stream,
      'audit.restored.last_sequence': records.length - 1,
      'audit.restored.root': expect.stringMatching(/^[A-Za-z0-9+/]{43}=$/),
    });

    const trail = await startTestTrail({ serviceName: 'desk', dataDir: to });
    expect(trail.stream).not.toBe(stream);
    expect(trail.restored).toMatchObject({ outcome: 'restored', stream });
    const breaker = trail.circuitBreaker('broker', BREAKER);
    expect(breaker.snapshot().state).toMatchObject({ status: 'OPEN', openUntilMs });
    expect(trail.trailingStops(STOPS).snapshot().stops).toMatchObject([{ id: 'p1', peakPrice: 110 }]);
    expect(trail.portfolioLimits(LIMITS).snapshot().day.pnl).toBe(-600);
    expect(trail.openOrders()).toMatchObject([{ clientOrderId: 'c1', status: 'intent' }]);
    await trail.close();
    expect(await verifyDirectory(to)).toEqual({ exitCode: 0, findings: ['UNSIGNED_TAIL', 'NOT_CLOSED'] });
    const opened = (await readTrail(to)).filter((record) => record.event === 'audit.stream_opened');
    expect(opened.map((record) => record['audit.previous.stream'])).toContain(stream);

    // Once more: nothing is changed, though the new host has traded on.
    const again = await restore('--from', from, '--to', to, '--vkey', vkey, '--json');
    expect([again.status, JSON.parse(again.out).outcome]).toEqual([0, 'unchanged']);
  });

  it('tolerates a torn last line, and takes the key that lies beside the copy, which it says', async () => {
    const { records, vkey } = await lostHost();
    const from = writeCollectorFiles(join(temporaryDirectory(), 'otel'), records, '{"resourceLogs":[{"resou');
    copyFileSync(vkey, join(from, 'verifier.vkey'));
    const to = temporaryDirectory();
    // What an attempt left that was cut off.
    mkdirSync(join(to, '.restoring', 'streams', 'half'), { recursive: true });
    const result = await restore('--from', from, '--to', to);
    expect(result.status).toBe(0);
    expect(result.out).toContain('The key lay beside the copy');
    expect(readdirSync(to).sort()).toEqual(['signing-key.pem', 'streams', 'verifier.vkey']);
    expect((await verifyDirectory(to)).exitCode).toBe(0);
  });

  it('refuses a copy with a gap or a changed record, names it, and restores it only when asked to', async () => {
    const { records, vkey } = await lostHost();
    const holed = records.toSpliced(20, 5);
    const from = writeCollectorFiles(join(temporaryDirectory(), 'otel'), holed);
    const to = join(temporaryDirectory(), 'new-host');
    const refused = await restore('--from', from, '--to', to, '--vkey', vkey);
    expect(refused.status).toBe(2);
    expect(refused.out).toMatch(/Nothing was restored[\s\S]*GAP/);
    expect(() => readdirSync(to)).toThrow('ENOENT');
    const asked = await restore('--from', from, '--to', to, '--vkey', vkey, '--on-findings', 'restore');
    expect(asked.status).toBe(2);
    expect(asked.out).toContain('missing 20–24');
    expect((await readTrail(to)).find((one) => one.event === 'audit.stream_restored')).toMatchObject({
      'audit.restored.gaps': ['20-24'],
      'audit.restored.exit_status': 2,
    });
    const changed = structuredClone(records);
    changed[30] = { ...changed[30], body: { stringValue: 'nothing happened' } };
    const other = writeCollectorFiles(join(temporaryDirectory(), 'otel'), changed);
    const tampered = await restore('--from', other, '--to', join(temporaryDirectory(), 'x'), '--vkey', vkey);
    expect(tampered.status).toBe(1);
    expect(tampered.out).toContain('INVALID');
  });

  it('refuses a target that holds something else, and leaves it as it is', async () => {
    const { records, vkey } = await lostHost();
    const from = writeCollectorFiles(join(temporaryDirectory(), 'otel'), records);
    const to = temporaryDirectory();
    writeFileSync(join(to, 'notes.txt'), 'mine');
    await expect(restore('--from', from, '--to', to, '--vkey', vkey)).rejects.toMatchObject({
      code: 'RESTORE_TARGET_NOT_EMPTY',
    });
    expect(readdirSync(to)).toEqual(['notes.txt']);
    const running = await startTestTrail({ serviceName: 'desk' });
    await running.close();
    await expect(restore('--from', from, '--to', running.dataDir, '--vkey', vkey)).rejects.toMatchObject({
      code: 'RESTORE_TARGET_NOT_EMPTY',
    });
  });

  it('asks whose trail, where the copy holds those of several services, and signs with the key that is there', async () => {
    const { records, vkey } = await lostHost();
    const other = await startTestTrail({ serviceName: 'other' });
    await other.close();
    const from = writeCollectorFiles(join(temporaryDirectory(), 'otel'), [...records, ...recordsOf(other.dataDir)]);
    const keys = join(temporaryDirectory(), 'keys');
    writeFileSync(keys, readFileSync(vkey, 'utf8') + readFileSync(join(other.dataDir, 'verifier.vkey'), 'utf8'));
    const to = temporaryDirectory();
    await expect(restore('--from', from, '--to', to, '--vkey', keys)).rejects.toThrow('(desk, other)');
    copyFileSync(join(other.dataDir, 'signing-key.pem'), join(to, 'signing-key.pem'));
    const result = await restore('--from', from, '--to', to, '--vkey', keys, '--service', 'desk');
    expect(result.status).toBe(0);
    expect(new Set((await readTrail(to)).map((one) => one.stream?.split('/')[0]))).toEqual(new Set(['desk']));
    expect(readFileSync(join(to, 'signing-key.pem'))).toEqual(readFileSync(join(other.dataDir, 'signing-key.pem')));
    expect((await verifyDirectory(to)).exitCode).toBe(0);
  });
});
