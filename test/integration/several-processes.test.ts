import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { readTrail, startTestTrail, temporaryDirectory } from '../support/trail.ts';
import { verifyDirectory } from '../support/verify.ts';

const supportFile = (name: string) => fileURLToPath(new URL(`../support/${name}`, import.meta.url));

describe('one data directory', () => {
  it('three processes and two worker threads of a service: a stream each, all of them verify', async () => {
    const dataDir = temporaryDirectory();
    const child = spawn(process.execPath, [supportFile('cluster-child.ts'), dataDir], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    let printed = '';
    child.stdout.setEncoding('utf8').on('data', (text) => {
      printed += text;
    });
    expect(await once(child, 'close')).toEqual([0, null]);
    const streams = printed.trim().split('\n');
    expect(new Set(streams).size).toBe(5);
    const records = await readTrail(dataDir);
    expect(new Set(records.map((record) => record.stream))).toEqual(new Set(streams));
    for (const stream of streams) {
      const own = records.filter((record) => record.stream === stream);
      const emitted = own.filter((record) => record.event === 'system.error');
      expect(emitted).toHaveLength(200);
      // One source each, in its order.
      expect(new Set(emitted.map((record) => record['trading.execution.id'])).size).toBe(1);
      expect(emitted.map((record) => Number(String(record['operation']).split(' ')[1]))).toEqual(
        emitted.map((_, i) => i),
      );
      expect(own.filter((record) => record.event === 'system.stop')).toHaveLength(1);
    }
    expect(await verifyDirectory(dataDir, { strict: true })).toEqual({ exitCode: 0, findings: [] });
  });
});

const KILLS = 10;

describe('kill -9 of a trading service', () => {
  it(`${KILLS} times: every event that was reported is there, one stream goes on, the trail verifies`, async () => {
    const dataDir = temporaryDirectory();
    const reported = new Map<string, string>();
    const streams = new Set<string>();
    for (let kill = 0; kill < KILLS; kill++) {
      const child = spawn(process.execPath, [supportFile('trading-child.ts'), dataDir], {
        stdio: ['ignore', 'pipe', 'inherit'],
      });
      let text = '';
      // Killed after so many reports, each time another number, in the middle of whatever it does then.
      const enough = 3 + ((kill * 37) % 150);
      child.stdout.setEncoding('utf8').on('data', (chunk: string) => {
        text += chunk;
        if (text.split('\n').length > enough) child.kill('SIGKILL');
      });
      expect(await once(child, 'close')).toEqual([null, 'SIGKILL']);
      // The last line may be cut off.
      for (const line of text.split('\n').slice(0, -1)) {
        const [stream, recordId] = line.split(' ');
        streams.add(stream!);
        reported.set(recordId!, stream!);
      }
      expect((await verifyDirectory(dataDir)).exitCode).toBe(0);
    }
    expect(streams.size).toBe(1);
    expect(reported.size).toBeGreaterThan(100);

    const trail = await startTestTrail({ serviceName: 'desk', dataDir });
    expect(trail.stream).toBe([...streams][0]);
    await trail.close();
    const records = await readTrail(dataDir);
    const present = new Set(records.map((record) => record.record_id));
    expect([...reported.keys()].filter((recordId) => !present.has(recordId))).toEqual([]);
    expect(records.map((record) => record.sequence)).toEqual(records.map((_, i) => i));
    expect(records.filter((record) => record.event === 'audit.recovered')).toHaveLength(KILLS);
    expect(records.filter((record) => record.event === 'system.start')).toHaveLength(KILLS + 1);
    expect(records.filter((record) => 'audit.invalid' in record || 'audit.missing' in record)).toEqual([]);
    expect(await verifyDirectory(dataDir, { strict: true })).toEqual({ exitCode: 0, findings: [] });
  });
});
