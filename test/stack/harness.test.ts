import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { openTestJournal, recordsByStream, testEvent } from '../support/journal.ts';
import { findStackBinary } from '../support/stack-binaries.ts';
import { startCollector } from '../support/stack-collector.ts';
import { startLoki } from '../support/stack-loki.ts';
import { GARBAGE, HALF_ANSWER, StackProxy } from '../support/stack-proxy.ts';
import { freePorts } from '../support/stack-server.ts';

const OWNER = fileURLToPath(new URL('../support/stack-owner.ts', import.meta.url));
const LINE = '{"resourceLogs":[{"scopeLogs":[{"logRecords":[{"eventName":"a","body":{"stringValue":"b"}}]}]}]}';

let directory: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'risktrail-stack-'));
});
afterEach(() => rmSync(directory, { recursive: true, force: true }));

function post(endpoint: string, body: string): Promise<Response> {
  return fetch(`${endpoint}/v1/logs`, { method: 'POST', headers: { 'content-type': 'application/json' }, body });
}

async function refused(endpoint: string): Promise<boolean> {
  return post(endpoint, LINE).then(
    () => false,
    () => true,
  );
}

describe.skipIf(findStackBinary('otelcol').path === undefined)('the Collector of the tests', () => {
  it('writes what it acknowledged to its file before it answers, and still has it after kill -9', async () => {
    await using collector = await startCollector(directory);
    const text = readJournalLine();
    const answers = await Promise.all(Array.from({ length: 50 }, () => post(collector.endpoint, text)));
    expect(answers.map(({ status }) => status)).toEqual(answers.map(() => 200));
    await collector.kill();
    const [file] = collector.auditFiles();
    expect(readFileSync(file!, 'utf8').trimEnd().split('\n')).toHaveLength(50);
    const streams = await recordsByStream(collector.auditDirectory);
    expect([...streams.values()].map((records) => records[0]!.eventName)).toEqual(['audit.stream_opened']);
  });

  it('goes on with its file and ports after kill -9', async () => {
    await using collector = await startCollector(directory);
    expect((await post(collector.endpoint, LINE)).status).toBe(200);
    await collector.kill();
    expect(await refused(collector.endpoint)).toBe(true);
    await collector.start();
    expect((await post(collector.endpoint, LINE)).status).toBe(200);
    await collector.stop();
    expect(collector.auditFiles().map((file) => readFileSync(file, 'utf8').match(/\n/g)?.length)).toEqual([2]);
  });

  it('ends with the process that started it, also when that is killed', async () => {
    const owner = spawn(process.execPath, [OWNER, directory], { stdio: ['ignore', 'pipe', 'inherit'] });
    const [endpoint] = (await once(createInterface({ input: owner.stdout }), 'line')) as [string];
    expect((await post(endpoint, LINE)).status).toBe(200);
    owner.kill('SIGKILL');
    while (!(await refused(endpoint))) await sleep(20);
    expect(existsSync(join(directory, 'collector', 'audit.jsonl'))).toBe(true);
  });

  it('is reached through a proxy that cuts, slows and lies', async () => {
    await using collector = await startCollector(directory);
    const [port] = (await freePorts(1)) as [number];
    await using proxy = await StackProxy.open(collector.port, port);
    const lines = () => collector.auditFiles().flatMap((file) => readFileSync(file, 'utf8').match(/\n/g) ?? []).length;

    expect((await post(proxy.endpoint, LINE)).status).toBe(200);
    expect(lines()).toBe(1);

    proxy.mode = { kind: 'answer', status: 429, headers: { 'retry-after': '7' } };
    const busy = await post(proxy.endpoint, LINE);
    expect([busy.status, busy.headers.get('retry-after')]).toEqual([429, '7']);
    proxy.mode = GARBAGE;
    expect(await refused(proxy.endpoint)).toBe(true);
    proxy.mode = HALF_ANSWER;
    const half = await post(proxy.endpoint, LINE);
    await expect(half.text()).rejects.toThrow();
    expect(lines()).toBe(1);

    proxy.mode = { kind: 'lose-answer' };
    expect(await refused(proxy.endpoint)).toBe(true);
    expect(lines()).toBe(2);

    proxy.mode = { kind: 'pass', delayMs: 1000 };
    const waiting = refused(proxy.endpoint);
    while (lines() < 3) await sleep(20);
    await proxy.cut();
    expect(await waiting).toBe(true);
    expect(await refused(proxy.endpoint)).toBe(true);
    proxy.mode = { kind: 'pass' };
    await proxy.mend();
    expect((await post(proxy.endpoint, LINE)).status).toBe(200);
    expect(lines()).toBe(4);
    expect(proxy.passed).toBe(4);
  });
});

describe.skipIf(findStackBinary('loki').path === undefined)('the Loki of the tests', () => {
  it('takes a journal’s line by OTLP and gives it back', async () => {
    await using loki = await startLoki(directory);
    const answer = await post(`${loki.endpoint}/otlp`, readJournalLine());
    expect(answer.status, await answer.text()).toBe(204);
    const query = new URLSearchParams({ query: '{service_name="bot"}', since: '1h' });
    let found: unknown[] = [];
    while (found.length === 0) {
      const result = await fetch(`${loki.endpoint}/loki/api/v1/query_range?${query}`);
      found = ((await result.json()) as { data: { result: unknown[] } }).data.result;
    }
    expect(JSON.stringify(found)).toContain('"audit_sequence_number":"0"');
  });
});

/** The first line of a journal. */
function readJournalLine(): string {
  const journal = openTestJournal(join(directory, 'data'));
  journal.append(testEvent(0));
  journal.closeSync('shutdown');
  return readFileSync(join(journal.directory, `${'0'.repeat(20)}.jsonl`), 'utf8').split('\n')[0]!;
}
