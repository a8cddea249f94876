import { spawnSync } from 'node:child_process';
import { mkdirSync, rmSync, statfsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import {
  eventNames,
  openTestJournal,
  recordsByStream,
  segmentPaths,
  temporaryDirectory,
  testEvent,
} from '../support/journal.ts';
import { verifyDirectory } from '../support/verify.ts';

let dir: string;
let remove: () => void;
beforeEach(() => {
  ({ path: dir, remove } = temporaryDirectory());
});
afterEach(() => remove());

describe('a data directory that cannot be used', () => {
  it.each([
    ['a file', () => writeFileSync(join(dir, 'x'), '')],
    ['below a file', () => writeFileSync(join(dir, 'x'), ''), 'x/y'],
  ])('is refused: %s', (_, prepare, path = 'x') => {
    prepare();
    expect(() => openTestJournal(join(dir, path))).toThrow(
      expect.objectContaining({
        code: 'AUDIT_DIRECTORY_UNUSABLE',
        details: { path: join(dir, path), reason: expect.stringMatching(/EEXIST|ENOTDIR/) },
      }),
    );
  });

  it.runIf(process.platform === 'linux')('is refused: where no directory can be made', () => {
    expect(() => openTestJournal('/proc/nowhere/trail')).toThrow(
      expect.objectContaining({ code: 'AUDIT_DIRECTORY_UNUSABLE' }),
    );
  });

  const root = process.getuid?.() === 0;
  it.skipIf(root)('is refused: read-only (not as root, who may write everywhere)', () => {
    mkdirSync(join(dir, 'x'), { mode: 0o500 });
    expect(() => openTestJournal(join(dir, 'x'))).toThrow(
      expect.objectContaining({ code: 'AUDIT_DIRECTORY_UNUSABLE' }),
    );
  });

  it.runIf(root)('is refused: read-only for a user who is not root', () => {
    const script = `
      import { openTestJournal } from ${JSON.stringify(new URL('../support/journal.ts', import.meta.url).href)};
      process.setgid(65534);
      process.setuid(65534);
      try { openTestJournal(${JSON.stringify(dir)}); } catch (error) { console.log(error.code, error.details.reason); }`;
    const { stdout } = spawnSync(process.execPath, ['--input-type=module', '-e', script], { encoding: 'utf8' });
    expect(stdout).toMatch(/^AUDIT_DIRECTORY_UNUSABLE EACCES/);
  });
});

/** After the stream's first record, and a millisecond apart. */
const timeOf = (index: number) => `${3_000_000_000_000 + index}000000`;
const laterEvent = (index: number) => testEvent(index, { timeUnixNano: timeOf(index) });

describe('while writing is impossible', () => {
  const mounted = join('/tmp', `risktrail-full-${process.pid}`);
  mkdirSync(mounted, { recursive: true });
  const canMount = spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=1m', 'tmpfs', mounted]).status === 0;
  if (canMount) spawnSync('umount', [mounted]);
  rmSync(mounted, { recursive: true });

  it.runIf(canMount)(
    'on a full disk, records wait, and are written in order with their own times once there is room; what found no room is told (needs mount as root)',
    async () => {
      mkdirSync(mounted, { recursive: true });
      expect(spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=1m', 'tmpfs', mounted]).status).toBe(0);
      try {
        const errors: string[] = [];
        const journal = openTestJournal(join(mounted, 'data'), {
          checkpointIntervalMs: 1_000_000,
          retryMs: 0,
          waitBufferBytes: 4000,
          onError: (error, what) => void errors.push(`${what} ${(error as NodeJS.ErrnoException).code}`),
        });
        const { bavail, bsize } = statfsSync(mounted);
        writeFileSync(join(mounted, 'filler'), Buffer.alloc((bavail - 2) * bsize));
        let recorded = 0;
        while (journal.append(laterEvent(recorded)).state === 'written') recorded++;
        let waiting = 1;
        while (journal.append(laterEvent(recorded + waiting)).state === 'waiting') waiting++;
        for (let i = 1; i < 4; i++) {
          expect(journal.append(laterEvent(recorded + waiting + i))).toMatchObject({
            sequence: undefined,
            state: 'lost',
          });
        }
        expect(errors).toEqual(['append ENOSPC']);
        expect(journal.stats()).toMatchObject({ lostRecords: 4, degraded: true, mode: 'failing' });
        expect(journal.stats().waiting).toMatchObject({ records: waiting, capacityBytes: 4000 });
        await expect(journal.sync()).rejects.toMatchObject({
          code: 'AUDIT_NOT_DURABLE',
          details: { reason: 'ENOSPC' },
        });

        rmSync(join(mounted, 'filler'));
        const next = recorded + waiting + 4;
        expect(journal.append(laterEvent(next)).sequence).toBe(recorded + waiting + 2);
        expect(journal.stats()).toMatchObject({ lostRecords: 4, degraded: false, mode: 'direct' });
        await journal.sync();
        await journal.close('test');
        const records = (await recordsByStream(mounted)).get(journal.stream)!;
        const kept = records.slice(1, recorded + waiting + 1);
        expect(kept.map((record) => record.attributes['index'])).toEqual(kept.map((_, index) => index));
        expect(kept.map((record) => record.time)).toEqual(kept.map((_, index) => timeOf(index)));
        expect(eventNames(records).slice(recorded + waiting + 1)).toEqual([
          'audit.degraded',
          'risk.circuit_breaker.state_change',
          'audit.stream_closed',
          'audit.checkpoint',
        ]);
        const time = (index: number) => new Date(Number(timeOf(index)) / 1e6).toISOString();
        expect(records[recorded + waiting + 1]).toMatchObject({
          severityNumber: 13,
          attributes: {
            'audit.degraded.reason': 'ENOSPC',
            'audit.degraded.durability': 'process',
            'audit.degraded.lost_records': 4,
            'audit.degraded.lost_from_time': time(recorded + waiting),
            'audit.degraded.lost_to_time': time(recorded + waiting + 3),
            'audit.degraded.from_time': expect.stringMatching(/^\d{4}-\d\d-\d\dT.*Z$/),
            'audit.degraded.to_time': expect.stringMatching(/^\d{4}-\d\d-\d\dT.*Z$/),
          },
        });
        expect(await verifyDirectory(mounted, { strict: true })).toEqual({ exitCode: 0, findings: [] });
      } finally {
        spawnSync('umount', ['-l', mounted]);
        rmSync(mounted, { recursive: true, force: true });
      }
    },
  );

  it.runIf(canMount)('the end of an outage is found without further events (needs mount as root)', async () => {
    mkdirSync(mounted, { recursive: true });
    expect(spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=1m', 'tmpfs', mounted]).status).toBe(0);
    try {
      const journal = openTestJournal(join(mounted, 'data'), { checkpointIntervalMs: 5, onError: () => {} });
      const { bavail, bsize } = statfsSync(mounted);
      writeFileSync(join(mounted, 'filler'), Buffer.alloc(bavail * bsize));
      while (journal.append(testEvent(0)).sequence !== undefined);
      rmSync(join(mounted, 'filler'));
      await expect.poll(() => journal.stats().degraded).toBe(false);
      await journal.close('test');
      expect(await verifyDirectory(mounted, { strict: true })).toEqual({ exitCode: 0, findings: [] });
    } finally {
      spawnSync('umount', ['-l', mounted]);
      rmSync(mounted, { recursive: true, force: true });
    }
  });

  it('where a file may not grow, the record that was half written is undone and the stream goes on in a new file', async () => {
    const child = fileURLToPath(new URL('../support/journal-limited.ts', import.meta.url));
    // Blocks of 512 bytes or of 1,024: the limit is passed within 200 records either way.
    const { stdout, stderr } = spawnSync(
      'sh',
      ['-c', 'ulimit -f 50; exec "$0" "$1" "$2"', process.execPath, child, dir],
      {
        encoding: 'utf8',
      },
    );
    expect(stderr).toBe('');
    const { lost, errors, stats } = JSON.parse(stdout);
    expect(lost).toBe(0);
    expect(new Set(errors)).toEqual(new Set(['append: EFBIG']));
    expect(stats).toMatchObject({ lostRecords: 0, degraded: false });
    const [records] = [...(await recordsByStream(dir)).values()];
    expect(eventNames(records)).toContain('audit.degraded');
    expect(records!.filter((record) => record.eventName.startsWith('risk.'))).toHaveLength(200);
    expect(
      segmentPaths({ directory: join(dir, 'streams', records![0]!.stream!.split('/')[1]!) }).length,
    ).toBeGreaterThan(1);
    expect(await verifyDirectory(dir, { strict: true })).toEqual({ exitCode: 0, findings: [] });
  });
});
