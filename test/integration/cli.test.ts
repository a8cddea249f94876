import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { appendFileSync, cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { createInterface } from 'node:readline';
import { afterAll, afterEach, beforeEach, describe, expect, it } from 'vitest';
import { EVENTS } from '../../src/catalog/events.ts';
import { line, lines, put, STREAM_A, segmentPath } from '../support/trail-lines.ts';

const MAIN = resolve(import.meta.dirname, '../../src/cli/main.ts');
const VECTORS = resolve(import.meta.dirname, '../vectors');

interface Result {
  readonly status: number | null;
  readonly signal: string | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** Compiled code of the command, kept between its many runs. */
const CACHE = mkdtempSync(join(tmpdir(), 'risktrail-cli-cache-'));
afterAll(() => rmSync(CACHE, { recursive: true, force: true }));

let dir: string;
let children: ChildProcess[];
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'risktrail-cli-'));
  children = [];
});
afterEach(() => {
  for (const child of children) child.kill('SIGKILL');
  rmSync(dir, { recursive: true, force: true });
});

function start(args: readonly string[], env: Readonly<Record<string, string>> = {}): ChildProcess {
  const child = spawn(process.execPath, [MAIN, ...args], {
    cwd: dir,
    env: { PATH: process.env['PATH'], NODE_COMPILE_CACHE: CACHE, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  children.push(child);
  return child;
}

async function run(args: readonly string[], env?: Readonly<Record<string, string>>): Promise<Result> {
  const child = start(args, env);
  let stdout = '';
  let stderr = '';
  child.stdout!.setEncoding('utf8').on('data', (text) => {
    stdout += text;
  });
  child.stderr!.setEncoding('utf8').on('data', (text) => {
    stderr += text;
  });
  const [status, signal] = await once(child, 'close');
  return { status, signal, stdout, stderr };
}

const jsonLines = (text: string) =>
  text
    .trim()
    .split('\n')
    .map((one) => JSON.parse(one));

describe('risktrail', () => {
  it('prints its version, its help, and the help of each command with examples', async () => {
    const { version } = JSON.parse(readFileSync(resolve(import.meta.dirname, '../../package.json'), 'utf8'));
    expect(await run(['--version'])).toMatchObject({ status: 0, stdout: `${version}\n`, stderr: '' });
    const commands = ['demo', 'events', 'tail', 'verify', 'schema'];
    for (const args of [[], ...commands.map((command) => [command])]) {
      const { status, stdout, stderr } = await run([...args, '--help']);
      expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
      expect(stdout).toMatch(/^Usage: risktrail/);
      expect(stdout).toContain('Examples:\n  $ risktrail');
    }
  });

  it.each([
    [['evnts'], "unknown command 'evnts' (Did you mean events?)"],
    [['events', '--evnt', 'x'], "unknown option '--evnt' (Did you mean --event?)"],
    [['events', '--limit', 'few'], "option '-n, --limit <count>' argument 'few' is invalid"],
    [['events', '--event'], "option '-e, --event <name>' argument missing"],
    [['events', '--since', 'yesterday', VECTORS], '--since: expected a date'],
    [['events', '--category', 'riks', VECTORS], '(did you mean "risk"?)'],
    [['events', 'no-such-dir'], 'no-such-dir: no such file or directory'],
    [['events'], 'risktrail-data: no such file or directory'],
    [['events', '.'], 'no trail files (*.jsonl, *.jsonl.zst) in it'],
    [['status', '.'], 'no trail files (*.jsonl, *.jsonl.zst) in it'],
    [['kill', '.', '--actor', 'A', '--reason', 'r'], 'no trail files (*.jsonl, *.jsonl.zst) in it'],
    [['kill', 'no-such-dir', '--actor', 'A', '--reason', 'r'], 'no-such-dir: no such file or directory'],
    [['state', VECTORS, '--csv'], '--csv: expected --diff'],
    [['tail', 'no-such-dir'], 'no-such-dir: no such file or directory'],
    [['tail', '--lines', '-1'], "argument '-1' is invalid"],
    [['verify', 'no-such-dir'], 'no-such-dir: no such file or directory'],
    [['verify', '--vkey', 'no-such-key', join(VECTORS, 'trail')], 'no-such-key: no such file or directory'],
    [['verify', join(VECTORS, 'trail/streams')], 'verifier key'],
    [['schema', 'order.plced'], 'the catalogue has no event order.plced (did you mean "order.placed"?)'],
    [['schema', 'a.b', 'c.d'], 'too many arguments'],
  ])('%j: one clear line on standard error and exit 3', async (args, message) => {
    // A folder between the streams and the key, so that no key lies near.
    if (args[0] === 'verify' && args[1]!.endsWith('streams')) {
      cpSync(args[1]!, join(dir, 'a/b/c/d/streams'), { recursive: true });
      args = ['verify', join(dir, 'a/b/c/d/streams')];
    }
    const { status, stdout, stderr } = await run(args);
    expect(stderr).toContain(message);
    expect(stderr).toMatch(/^risktrail: [^\n]+\n$/);
    expect({ status, stdout }).toEqual({ status: 3, stdout: '' });
  });

  it('says how it is used when nothing is asked, as wrong usage', async () => {
    const { status, stdout, stderr } = await run([]);
    expect({ status, stdout }).toEqual({ status: 3, stdout: '' });
    expect(stderr).toMatch(/^Usage: risktrail/);
  });

  it('names the path that was probably meant', async () => {
    put(segmentPath(join(dir, 'trail-2020'), STREAM_A, 0), lines(0, 1));
    const { status, stderr } = await run(['events', 'trail-202']);
    expect(status).toBe(3);
    expect(stderr).toContain('(did you mean "trail-2020"?)');
  });
});

describe('risktrail events', () => {
  it('prints a table with aligned columns and no colour where there is no terminal', async () => {
    const text = line(0, {
      event: 'order.placed',
      attributes: { 'trading.symbol': 'AAPL' },
      traceId: '0af7651916cd43dd8448eb211c80319c',
    });
    const other = line(1, {
      event: 'risk.circuit_breaker.state_change',
      severityNumber: 13,
      body: 'opened\n\u001b[31m',
    });
    put(segmentPath(dir, STREAM_A, 0), text + other);
    const { status, stdout } = await run(['events', dir]);
    expect(status).toBe(0);
    expect(stdout).toBe(
      [
        'TIME (UTC)               LEVEL  EVENT                              SYMBOL  TRACE     WHAT',
        '2020-03-16 14:00:00.000  INFO   order.placed                       AAPL    0af76519  record 0',
        '2020-03-16 14:00:01.000  WARN   risk.circuit_breaker.state_change                    opened [31m',
        '',
      ].join('\n'),
    );
  });

  it('prints CSV with a column for each attribute that is there, limited and reversed', async () => {
    const attributes = { 'trading.symbol': '=A,"B', 'order.note': 'x' };
    put(segmentPath(dir, STREAM_A, 0), line(0) + line(1, { attributes }) + line(2, { body: 'late' }));
    const { status, stdout } = await run(['events', dir, '--csv', '--reverse', '-n', '2']);
    const [heading, ...rows] = stdout.trimEnd().split('\r\n');
    expect(status).toBe(0);
    expect(heading).toMatch(/^timestamp,event,category,.*,span_id,order\.note,trading\.symbol$/);
    expect(rows).toEqual([
      expect.stringMatching(/^2020-03-16T14:00:02.000000000Z,order.placed,.*,late,.*,,$/),
      expect.stringMatching(/^2020-03-16T14:00:01.000000000Z,order.placed,.*,x,"'=A,""B"$/),
    ]);
  });

  it('prints JSON lines, filtered, limited, reversed', async () => {
    put(segmentPath(dir, STREAM_A, 0), lines(0, 20));
    const { status, stdout } = await run(['events', dir, '--json', '--where', 'sequence>=10', '-n', '3', '--reverse']);
    expect(status).toBe(0);
    expect(jsonLines(stdout).map((record) => record.sequence)).toEqual([19, 18, 17]);
    const first = await run(['events', dir, '--json', '--limit', '2', '--event', 'order.*', '--event', 'x']);
    expect(jsonLines(first.stdout).map((record) => record.sequence)).toEqual([0, 1]);
  });

  it('finds the trail by the variable, and by ./risktrail-data', async () => {
    put(segmentPath(join(dir, 'risktrail-data'), STREAM_A, 0), lines(0, 1));
    put(segmentPath(join(dir, 'other'), STREAM_A, 0), lines(0, 2));
    expect(jsonLines((await run(['events', '--json'])).stdout)).toHaveLength(1);
    expect(jsonLines((await run(['events', '--json'], { RISKTRAIL_DATA_DIR: 'other' })).stdout)).toHaveLength(2);
  });

  it('says that nothing matches, with the event that was probably meant', async () => {
    put(segmentPath(dir, STREAM_A, 0), lines(0, 1));
    expect(await run(['events', dir, '--event', 'order.plced'])).toMatchObject({
      status: 0,
      stdout: '',
      stderr: 'no record matches; the catalogue has no event order.plced (did you mean "order.placed"?)\n',
    });
    expect(await run(['events', dir, '--where', 'trading.symbl=X', '-w', 'metadata.tag=1'])).toMatchObject({
      status: 0,
      stderr: 'no record matches; the catalogue has no attribute trading.symbl (did you mean "trading.symbol"?)\n',
    });
    expect(await run(['events', dir, '--symbol', 'X'])).toMatchObject({ status: 0, stderr: 'no record matches\n' });
    expect(await run(['events', dir, '--symbol', 'X', '--json'])).toMatchObject({ status: 0, stdout: '', stderr: '' });
  });

  it('exits 2 where lines cannot be read, after all that can', async () => {
    put(segmentPath(dir, STREAM_A, 0), `${line(0)}{"resourceLogs":\n${line(1)}{"torn tail`);
    const { status, stdout, stderr } = await run(['events', dir, '--json']);
    expect(status).toBe(2);
    expect(jsonLines(stdout)).toHaveLength(2);
    expect(stderr).toBe('risktrail: 1 line could not be read: see risktrail verify\n');
  });

  it('is quiet and exits 0 when its reader goes away', async () => {
    put(segmentPath(dir, STREAM_A, 0), lines(0, 30_000));
    const child = start(['events', dir, '--json']);
    let stderr = '';
    child.stderr!.setEncoding('utf8').on('data', (text) => {
      stderr += text;
    });
    await once(child.stdout!, 'data');
    child.stdout!.destroy();
    const [status, signal] = await once(child, 'close');
    expect({ status, signal, stderr }).toEqual({ status: 0, signal: null, stderr: '' });
  });
});

describe('risktrail verify', () => {
  it('exits 0 for a whole trail, by the key beside it, by a key file and by a key', async () => {
    const trail = join(VECTORS, 'trail');
    const vkey = join(trail, 'verifier.vkey');
    for (const key of [[], ['--vkey', vkey], ['--vkey', readFileSync(vkey, 'utf8').trim()]]) {
      const { status, stdout } = await run(['verify', trail, '--json', '--strict', ...key]);
      expect(status).toBe(0);
      expect(JSON.parse(stdout)).toMatchObject({
        ok: true,
        keySource: key.length === 0 ? 'beside the trail' : 'given',
      });
    }
    const { status, stdout, stderr } = await run(['verify', trail]);
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
    expect(stdout).toContain('9daa6223-bff6-4d4e-8c73-7bd8062153f2');
  });

  it('exits 1 where a record was changed, 2 where the end is missing', async () => {
    const trail = join(VECTORS, 'trail');
    const stream = 'streams/9daa6223-bff6-4d4e-8c73-7bd8062153f2';
    const segment = join(stream, '00000000000000000075.jsonl');
    cpSync(trail, join(dir, 'changed'), { recursive: true });
    const text = readFileSync(join(trail, segment), 'utf8');
    writeFileSync(join(dir, 'changed', segment), text.replace('BTCUSDT', 'BTCUSDC'));
    expect(text).toContain('BTCUSDT');
    const changed = await run(['verify', 'changed', '--json']);
    expect(changed.status).toBe(1);
    expect(changed.stdout).toContain('"INVALID"');

    cpSync(trail, join(dir, 'cut'), { recursive: true });
    rmSync(join(dir, 'cut', stream, '00000000000000000225.jsonl'));
    const cut = await run(['verify', 'cut', '--json', '--anchor', join(trail, stream, 'checkpoint')]);
    expect(cut.status).toBe(2);
    expect(cut.stdout).toContain('"TRUNCATED"');
  });
});

describe('risktrail schema', () => {
  it('lists every event, those of a pattern, and prints one schema', async () => {
    const all = await run(['schema']);
    expect(all.status).toBe(0);
    expect(
      all.stdout
        .trim()
        .split('\n')
        .map((one) => one.split(' ')[0]),
    ).toEqual(Object.keys(EVENTS));
    const orders = await run(['schema', 'order.*', '--json']);
    expect(JSON.parse(orders.stdout).map((one: { event: string }) => one.event)).toEqual(
      Object.keys(EVENTS).filter((name) => name.startsWith('order.')),
    );
    const one = await run(['schema', 'order.placed']);
    expect(JSON.parse(one.stdout)).toMatchObject({ title: 'order.placed', type: 'object' });
    expect(JSON.parse((await run(['schema', 'event'])).stdout)).toMatchObject({ $id: 'urn:risktrail:schema:event' });
  });
});

describe('risktrail tail', () => {
  it('shows the last records, then new ones as they are written, until Ctrl-C', async () => {
    cpSync(join(VECTORS, 'trail'), join(dir, 'trail'), { recursive: true });
    const folder = join(dir, 'trail/streams/9daa6223-bff6-4d4e-8c73-7bd8062153f2');
    const last = join(folder, '00000000000000000225.jsonl');
    const held = readFileSync(last, 'utf8').trimEnd().split('\n');
    writeFileSync(last, `${held.slice(0, -2).join('\n')}\n`);

    const child = start(['tail', 'trail', '--lines', '2', '--json']);
    const output = createInterface({ input: child.stdout! })[Symbol.asyncIterator]();
    const sequence = async () => JSON.parse((await output.next()).value as string).sequence;
    expect([await sequence(), await sequence()]).toEqual([296, 297]);
    appendFileSync(last, `${held.at(-2)}\n`);
    expect(await sequence()).toBe(298);
    writeFileSync(join(folder, '00000000000000000299.jsonl'), `${held.at(-1)}\n`);
    expect(await sequence()).toBe(299);

    let stderr = '';
    child.stderr!.setEncoding('utf8').on('data', (text) => {
      stderr += text;
    });
    child.kill('SIGINT');
    const [status, signal] = await once(child, 'close');
    expect({ status, signal, stderr }).toEqual({ status: 130, signal: null, stderr: '' });
  });
});

describe('risktrail demo', () => {
  it('leaves a whole trail behind when it is stopped by Ctrl-C in the middle', async () => {
    const child = start(['demo', '--dir', 'trail', '--quiet']);
    const tail = start(['tail', '.', '--json', '--event', 'trade.*']);
    await once(tail.stdout!, 'data');
    child.kill('SIGINT');
    const [status] = await once(child, 'close');
    expect(status).toBe(130);
    const verified = await run(['verify', 'trail', '--json']);
    expect({ status: verified.status, ok: JSON.parse(verified.stdout).ok }).toEqual({ status: 0, ok: true });
    const stopped = await run(['events', 'trail', '--json', '--reverse', '--limit', '1']);
    expect(jsonLines(stopped.stdout)).toHaveLength(1);
  });
});
