import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { findStackBinary } from '../support/stack-binaries.ts';
import { startCollector } from '../support/stack-collector.ts';
import { startLoki } from '../support/stack-loki.ts';
import { StackService } from '../support/stack-service.ts';
import { testVariable } from '../support/test-variables.ts';

/** The nightly script takes ten minutes. */
const SECONDS = Number(testVariable('RISKTRAIL_LOAD_SECONDS') ?? 20);
const PER_SECOND = 10_000;
const ROOT = join(import.meta.dirname, '../..');
const SERVERS = [findStackBinary('otelcol'), findStackBinary('loki')];

let directory: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'risktrail-load-'));
});
afterEach(() => rmSync(directory, { recursive: true, force: true }));

interface Limits {
  readonly bytes: number;
  readonly env: Record<string, string>;
}

/** What compose lets the Collector have. */
function composeLimits(): Limits {
  const { services } = parse(readFileSync(join(ROOT, 'docker-compose.yml'), 'utf8'), { merge: true }) as {
    readonly services: { readonly collector: { readonly mem_limit: string; readonly environment: Limits['env'] } };
  };
  const { mem_limit: limit, environment } = services.collector;
  const { GOMEMLIMIT = '', MEMORY_LIMIT_MIB = '' } = environment;
  return {
    bytes: Number.parseInt(limit, 10) * (limit.endsWith('g') ? 2 ** 30 : 2 ** 20),
    env: { GOMEMLIMIT, MEMORY_LIMIT_MIB, QUEUE_BYTES: '10000000000' },
  };
}

describe.skipIf(SERVERS.some(({ path }) => path === undefined))('10,000 records a second', () => {
  it(
    `the Collector stays within compose's memory limit for ${SECONDS} s, is killed in mid-run, and its audit file verifies`,
    async () => {
      const { bytes, env } = composeLimits();
      await using loki = await startLoki(directory);
      const address = { LOKI_ENDPOINT: `${loki.endpoint}/otlp` };
      await using collector = await startCollector(directory, { env: { ...env, ...address } });
      await using service = await StackService.start(directory, collector.endpoint, 0, { SERVICE_WRITES_ITSELF: '1' });
      const records = SECONDS * PER_SECOND;
      const began = performance.now();
      let emitting = true;
      const emitted = service.ask({ kind: 'emit', records, overMs: SECONDS * 1000 }).finally(() => {
        emitting = false;
      });
      const shipped = async () => {
        const { taken, backlog } = await service.ask({ kind: 'stats' });
        return taken - backlog;
      };
      while (emitting && (await shipped()) < records / 2) await sleep(100);
      const peaks = [collector.usage().peakBytes];
      await collector.kill();
      await collector.start();
      await emitted;
      const emittedSeconds = (performance.now() - began) / 1000;
      const closed = await service.ask({ kind: 'close', deadlineMs: 120_000 + 3000 * SECONDS });
      const { taken, backlog, rejected } = closed;
      const shippedSeconds = (performance.now() - began) / 1000;
      peaks.push(collector.usage().peakBytes);
      const { cpuMs } = collector.usage();
      await collector.stop();
      console.log(
        `${taken} records emitted in ${emittedSeconds.toFixed(1)} s, ${taken - backlog} of them taken by the Collector ` +
          `after ${shippedSeconds.toFixed(1)} s; peak memory of the Collector ` +
          `${peaks.map((peak) => Math.round(peak / 2 ** 20)).join(' and ')} MiB of ${bytes / 2 ** 20}; ` +
          `processor time after its restart ${cpuMs} ms`,
      );
      expect({ taken, backlog, rejected }).toEqual({ taken: records, backlog: 0, rejected: 0 });
      expect(Math.max(...peaks)).toBeLessThan(bytes);
      const command = [join(ROOT, 'src/cli/main.ts'), 'verify', collector.auditDirectory];
      const keys = ['--vkey', join(directory, 'data', 'verifier.vkey')];
      const verified = spawnSync(process.execPath, [...command, ...keys], { encoding: 'utf8', maxBuffer: 2 ** 28 });
      expect(verified.status, verified.stdout + verified.stderr).toBe(0);
    },
    600_000 + 5_000 * SECONDS,
  );
});
