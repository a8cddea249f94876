import { spawnSync } from 'node:child_process';
import { generateKeyPairSync } from 'node:crypto';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { readRules } from '../../src/alerting/read-rules.ts';
import { evaluateChosen } from '../../src/analysis/alerts.ts';
import { checkReplay, replay, sweepReplay } from '../../src/analysis/replay/replay.ts';
import { stateAt } from '../../src/analysis/state-at.ts';
import { unsettledOrders } from '../../src/analysis/unsettled-orders.ts';
import { formatVerifierKey } from '../../src/audit/proof/note.ts';
import { isRiskTrailError } from '../../src/core/errors.ts';
import { RiskTrailClient } from '../../src/server/client.ts';
import type { RunningServer } from '../../src/server/serve.ts';
import type { DEFAULT_LIMITS } from '../../src/server/server-context.ts';
import type { ThreadQuestion } from '../../src/server/threads/questions.ts';
import { ThreadWork } from '../../src/server/threads/thread-work.ts';
import { ask, closeTestServers, startTestServer } from '../support/serve.ts';
import { removeTemporaryDirectories, temporaryDirectory } from '../support/temporary.ts';

// A busy machine takes its time.
vi.setConfig({ testTimeout: 240_000 });

const DEMO = JSON.stringify(new URL('../../src/demo/main.ts', import.meta.url).href);
/** Ten thousand settings: nobody waits for its end. */
const ENDLESS = '/v1/replay/sweep?sweep=stops.activationPct=1..100/1&sweep=stops.trailingPct=1..100/1';
const JSON_OF = (value: unknown) => JSON.parse(JSON.stringify(value));

let trail: string;
let server: RunningServer;
let client: RiskTrailClient;
beforeAll(async () => {
  trail = join(temporaryDirectory(), 'demo');
  const code = `import { runDemo } from ${DEMO};
    process.exitCode = await runDemo({ dir: ${JSON.stringify(trail)}, days: 250, quiet: true, json: true });`;
  const made = spawnSync(process.execPath, ['--input-type=module', '-e', code], { encoding: 'utf8' });
  if (made.status !== 0) throw new Error(made.stderr);
  server = await startTestServer(trail);
  client = new RiskTrailClient({ baseUrl: server.url });
}, 240_000);
afterAll(async () => {
  await closeTestServers();
  removeTemporaryDirectories();
});

async function threadsOf(of: RunningServer): Promise<number> {
  const { text } = await ask(of, '/metrics');
  return Number(/^risktrail_server_threads\{of="questions"\} (\d+)$/m.exec(text)![1]);
}

const settles = (count: number, of = server) =>
  vi.waitFor(async () => expect(await threadsOf(of)).toBe(count), { timeout: 60_000, interval: 20 });

describe('the answers of threads', () => {
  it('are those of the library', async () => {
    const set = ['stops.activationPct=1'];
    const { rows, ...figures } = JSON_OF(await replay(trail, { set }));
    const told = await client.replay({ set, limit: 3 });
    expect(rows.length).toBeGreaterThan(3);
    expect(told).toMatchObject({ ...figures, rows: rows.slice(0, 3), row_count: rows.length, truncated: true });
    const range = { from: '2000-03-01', to: '2000-06-30' };
    expect(await client.checkReplay(range)).toMatchObject(JSON_OF(await checkReplay(trail, range)));
    const sweep = ['stops.trailingPct=1,2'];
    expect(await client.sweepReplay({ sweep, set })).toMatchObject(JSON_OF(await sweepReplay(trail, { sweep, set })));
  });

  it('of the alert rules are those of the command', async () => {
    const rules = readRules(undefined);
    expect((await client.listAlertRules()).rules).toEqual(JSON_OF(rules));
    const only = ['stop_triggered'];
    const since = '2000-03-01T00:00:00.000000000Z';
    const expected = JSON_OF(await evaluateChosen([trail], rules, { only, since }));
    expect(expected.alerts.length).toBeGreaterThan(0);
    expect(await client.evaluateAlerts({ rule: only, since: '2000-03-01' })).toMatchObject(expected);
    const own = await startTestServer(trail, { rules: rules.filter(({ id }) => id === 'breaker_flapping') });
    expect((await ask(own, '/v1/alerts/evaluate')).json.rules).toEqual(['breaker_flapping']);
  });

  it('of reconcile-orders are those of the command', async () => {
    const { orders } = await client.listUnsettledOrders();
    expect(orders).toEqual(JSON_OF(unsettledOrders(await stateAt([trail]))));
  });

  it('of verify are by the key that is given, and of the snapshots where that is asked', async () => {
    const { keys } = await client.listKeys();
    expect(keys).toEqual([{ vkey: expect.stringMatching(/^risktrail-demo\+/), signs: true }]);
    const by = { vkey: [keys[0]!.vkey], strict: true, semantic: true };
    const report = await client.verify(by);
    expect(report).toMatchObject({ ok: true, keySource: 'given', semantic: { ok: true, unreadable: 0, findings: [] } });
    const other = formatVerifierKey('other', generateKeyPairSync('ed25519').publicKey);
    const { ok, streams } = await client.verify({ vkey: [other] });
    expect([ok, JSON.stringify(streams)]).toEqual([false, expect.stringContaining('finding')]);
    const wrong = await ask(server, '/v1/verify?vkey=other%2B00000000%2BAA==');
    expect([wrong.status, wrong.json.detail]).toEqual([400, expect.stringMatching(/^vkey: expected a verifier key/)]);
  });

  it('of consistency lead from a size or a note to the newest', async () => {
    const { streams } = await client.getStatus();
    const { size } = (streams[0] as unknown as { checkpoint: { size: number } }).checkpoint;
    const made = await client.proveConsistency({ old: String(size) });
    expect([made.old_size, made.new_size, made.proof.includes('\n')]).toEqual([size, size, true]);
    const absent = await ask(server, '/v1/consistency?old=3');
    expect([absent.status, absent.json.code]).toEqual([404, 'CHECKPOINT_NOT_FOUND']);
  });

  it('of doctor are about this machine, without its paths', async () => {
    const { status, checks } = await client.getDoctor();
    expect(checks.map(({ name }) => name)).toEqual(
      expect.arrayContaining(['Node', 'Data directory', 'Disk', 'Signing key', 'Clock', 'Writers', 'Last checkpoint']),
    );
    expect(['ok', 'warn']).toContain(status);
    expect(JSON.stringify(checks)).not.toContain(trail);
    const files = await startTestServer(join(trail, 'streams'));
    expect((await ask(files, '/v1/doctor')).json.code).toBe('NO_DATA_DIRECTORY');
  });

  it('stand on the cache where one is kept, and are the same', async () => {
    const cached = await startTestServer(trail, { cache: true });
    const path = '/v1/explain?at=2000-03-07T15:00:00Z';
    const { answer, steps } = (await ask(cached, path)).json;
    expect(existsSync(join(trail, 'cache'))).toBe(true);
    expect((await ask(server, path)).json).toMatchObject({ answer, steps });
  });

  it('are pages and workbooks, too', async () => {
    const page = await ask(server, '/replay/sweep?sweep=stops.activationPct=1,2');
    expect([page.status, page.headers.get('content-type')]).toEqual([200, 'text/html; charset=utf-8']);
    expect(page.text).toMatch(/<h1>Sweep of stops.activationPct<\/h1>/);
    expect(page.text).not.toMatch(/<script|https?:\/\/(?!www\.w3\.org)/);
    const book = await client.exportRecords({ format: 'xlsx', event: ['trade.exit'] });
    expect(Buffer.from(await book.arrayBuffer()).toString('latin1', 0, 2)).toBe('PK');
  });

  it.each([
    ['/v1/replay', 400, /^set: expected a value, got nothing$/],
    ['/v1/replay?set=x', 400, /^set: expected parameter=value/],
    ['/v1/replay?set=breaker.none.failureThreshold=3', 400, /there is no such parameter/],
    ['/v1/replay?set=stops.activationPct=1&from=2200-01-01', 404, /no risk layer was given anything/],
    ['/v1/replay?set=stops.activationPct=1&from=2001&to=2000', 400, /^from: expected /],
    ['/v1/replay/sweep?sweep=stops.activationPct=1..1e9/1', 400, /^sweep: expected parameter=from/],
    ['/v1/replay/sweep?sweep=a=1&sweep=b=1&sweep=c=1', 400, /^sweep: must NOT have more than 2 items$/],
    ['/v1/replay/check?set=a=1', 400, /^set: unknown parameter/],
    [
      '/v1/alerts/evaluate?rule=breaker_flaping',
      400,
      /^rule: expected the id of a rule \(did you mean "breaker_flapping"\?\)/,
    ],
    ['/v1/alerts/evaluate?since=2020-02-01&until=2020-01-01', 400, /^until: expected a time not before since/],
    ['/v1/explain?at=25:99', 400, /^at: expected .*a time of day \(10:30\)/],
  ])('%s is %s', async (path, status, detail) => {
    const answer = await ask(server, path);
    expect([path, answer.status, answer.json.detail]).toEqual([path, status, expect.stringMatching(detail)]);
    expect(answer.text).not.toContain(trail);
  });
});

describe('a long replay', () => {
  it('leaves the server free to answer, and ends with whoever asked', async () => {
    const gone = new AbortController();
    const sweep = ask(server, ENDLESS, { signal: gone.signal }).then(
      () => 'answered',
      (error: Error) => error.name,
    );
    await settles(1);
    for (let times = 0; times < 20; times++) expect((await ask(server, '/health')).status).toBe(200);
    expect(await threadsOf(server)).toBe(1);
    gone.abort();
    expect(await sweep).toBe('AbortError');
    await settles(0);
  });

  it('is made once for all who ask the same, and goes on for who stays', async () => {
    const [first, second] = [new AbortController(), new AbortController()];
    const both = [first, second].map(({ signal }) => ask(server, ENDLESS, { signal }).catch(() => undefined));
    await settles(1);
    first.abort();
    await both[0];
    expect(await threadsOf(server)).toBe(1);
    second.abort();
    await settles(0);
  });

  it('is refused where as many wait as may, and ends when its time is over or the server does', async () => {
    const { server: small, close } = await withLimits({ maxThreads: 1, maxLongQuestions: 1, questionTimeoutMs: 3000 });
    const first = ask(small, ENDLESS);
    await settles(1, small);
    const busy = await ask(small, '/v1/replay/check');
    expect([busy.status, busy.json.code, busy.headers.get('retry-after')]).toEqual([503, 'SERVER_BUSY', '2']);
    expect(await first).toMatchObject({ status: 422, json: { code: 'QUESTION_TIMEOUT' } });
    await settles(0, small);
    await close();
  });

  it('is told when it needs more memory than it may take', async () => {
    const { server: small } = await withLimits({ threadMemoryBytes: 8 * 2 ** 20 });
    const { status, json } = await ask(small, '/v1/replay/check');
    expect([status, json.code, json.detail]).toEqual([422, 'QUESTION_MEMORY', expect.stringContaining('8 MiB')]);
    expect((await ask(small, '/health')).status).toBe(200);
  });
});

async function withLimits(limits: Partial<typeof DEFAULT_LIMITS>) {
  const one = await startTestServer(trail, { limits });
  return { server: one, close: () => one.close() };
}

describe('questions for threads', () => {
  const endless = (): ThreadQuestion => ({
    ...{ kind: 'sweep', paths: [trail], from: undefined, to: undefined, set: [], form: 'json' },
    sweep: ['stops.activationPct=1..100/1', 'stops.trailingPct=1..100/1'],
  });
  const quick = (): ThreadQuestion => ({ kind: 'check', paths: [trail], from: undefined, to: '2000-02-01' });
  const limits = { threads: 1, questions: 3, timeoutMs: 120_000, memoryBytes: 2 ** 30 };

  it('wait for their turn, and leave it to the next when nobody waits for them', async () => {
    const work = new ThreadWork(limits);
    const [first, second] = [new AbortController(), new AbortController()];
    const told: string[] = [];
    const all = [
      work.ask(endless(), first.signal).catch(() => told.push('first')),
      work.ask(endless(), second.signal).catch(() => told.push('second')),
      work.ask(quick()).then(() => told.push('third')),
    ];
    expect(work.running).toBe(1);
    await expect(work.ask(quick())).rejects.toSatisfy((error) => isRiskTrailError(error, 'SERVER_BUSY'));
    second.abort();
    await all[1];
    first.abort();
    await Promise.all(all);
    expect([told, work.running]).toEqual([['second', 'first', 'third'], 0]);
  });

  it('end when the server does', async () => {
    const work = new ThreadWork(limits);
    const both = [work.ask(endless()), work.ask(endless())];
    work.close();
    expect((await Promise.allSettled(both)).map(({ status }) => status)).toEqual(['rejected', 'rejected']);
    expect(work.running).toBe(0);
  });
});
