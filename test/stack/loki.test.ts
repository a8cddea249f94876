import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { reconcileTrail } from '../../src/audit/reconcile/reconcile.ts';
import { createSystemClock } from '../../src/core/clock.ts';
import { findStackBinary } from '../support/stack-binaries.ts';
import { startLoki } from '../support/stack-loki.ts';
import { StackService } from '../support/stack-service.ts';

let directory: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'risktrail-loki-'));
});
afterEach(() => rmSync(directory, { recursive: true, force: true }));

describe.skipIf(findStackBinary('loki').path === undefined)('a trail shipped to a real Loki', () => {
  it.each(['http/json', 'http/protobuf'])('reconciles to nothing missing: %s', async (protocol) => {
    await using loki = await startLoki(directory);
    const env = { OTEL_EXPORTER_OTLP_PROTOCOL: protocol };
    await using service = await StackService.start(directory, `${loki.endpoint}/otlp`, 0, env);
    await service.ask({ kind: 'emit', records: 5_000, overMs: 1_000 });
    const closed = await service.ask({ kind: 'close', deadlineMs: 60_000 });
    expect(closed).toMatchObject({ taken: 5_000, backlog: 0, rejected: 0, lastError: '' });
    const reconcile = () =>
      reconcileTrail({ directory: join(directory, 'data'), loki: { url: loki.endpoint }, clock: createSystemClock() });
    // Loki answers before its index knows all.
    let { report } = await reconcile();
    for (let tries = 0; report.exitStatus === 2 && tries < 10; tries++) {
      await sleep(500);
      ({ report } = await reconcile());
    }
    const [stream] = report.streams;
    expect(stream!.copies.map(({ copy, missing, differing }) => ({ copy, missing, differing }))).toEqual([
      { copy: 'journal', missing: [], differing: [] },
      { copy: 'loki', missing: [], differing: [] },
    ]);
    expect([report.exitStatus, report.streams.length]).toEqual([0, 1]);
    expect(stream!.size).toBeGreaterThan(5_000);
  });
});
