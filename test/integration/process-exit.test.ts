import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import type { FlatRecord } from '../../src/analysis/flat-record.ts';
import { INDEX, runScript, type ScriptResult } from '../support/script.ts';
import { readTrail } from '../support/trail.ts';
import { verifyDirectory } from '../support/verify.ts';

const ROOT = mkdtempSync(join(tmpdir(), 'risktrail-exit-'));
afterAll(() => rmSync(ROOT, { recursive: true, force: true }));
const temporaryDirectory = () => mkdtempSync(join(ROOT, 'trail-'));

interface Case {
  readonly name: string;
  /** Run before the trail is started. */
  readonly before?: string;
  /** Run once it is. `trail` is undefined in the program that has none. */
  readonly act: string;
  readonly signals?: readonly NodeJS.Signals[];
  readonly options?: string;
  readonly env?: Readonly<Record<string, string>>;
  /** `system.stop.reason`. */
  readonly stopped: string;
  /** `audit.closed.reason` where it is another. */
  readonly closed?: string;
  /** What `system.error` tells. */
  readonly error?: Readonly<Record<string, unknown>>;
}

/** Waits for a signal, for as long as a test may take. */
const WAIT = `console.log('ready'); setTimeout(() => {}, 50_000);`;

const CASES: readonly Case[] = [
  { name: 'a normal end', act: `console.log('done');`, stopped: 'exit' },
  { name: 'a normal end with an exit code set', act: `process.exitCode = 5;`, stopped: 'exit' },
  {
    name: 'nothing left to do but our timers, queues and an exporter that reaches nobody',
    act: `trail?.circuitBreaker('b', { cooldownMs: 60_000, failureThreshold: 1 }).trip({ actor: 'a', reason: 'r' });
      trail?.logger('x').info('a line');
      trail?.timed('work', () => 1);`,
    env: { OTEL_EXPORTER_OTLP_ENDPOINT: 'http://127.0.0.1:9', RISKTRAIL_LOG_LEVEL: 'off' },
    stopped: 'exit',
  },
  { name: 'process.exit(3)', act: `setTimeout(() => process.exit(3), 5);`, stopped: 'exit' },
  {
    name: 'an uncaught exception',
    act: `setTimeout(() => { throw Object.assign(new RangeError('too far'), { code: 'E_FAR' }); }, 5);`,
    stopped: 'uncaught_exception',
    error: {
      operation: 'uncaughtException',
      'exception.type': 'RangeError',
      'exception.message': 'too far',
      'exception.stacktrace': expect.stringContaining('RangeError: too far\n'),
      'error.code': 'E_FAR',
    },
  },
  {
    name: 'an unhandled rejection',
    act: `Promise.reject(new TypeError('nobody cared'));`,
    stopped: 'uncaught_exception',
    error: {
      operation: 'unhandledRejection',
      'exception.type': 'TypeError',
      'exception.message': 'nobody cared',
    },
  },
  {
    name: 'an uncaught value that has no text',
    act: `setTimeout(() => { throw Object.create(null); }, 5);`,
    stopped: 'uncaught_exception',
    error: { operation: 'uncaughtException' },
  },
  {
    name: 'an uncaught exception whose getters throw',
    act: `const hostile = new Error('x');
      Object.defineProperty(hostile, 'code', { get() { throw new Error('getter'); } });
      setTimeout(() => { throw hostile; }, 5);`,
    stopped: 'uncaught_exception',
    error: { operation: 'uncaughtException' },
  },
  {
    name: 'an uncaught exception that the program handles, and goes on',
    act: `process.on('uncaughtException', () => setTimeout(() => process.exit(4), 5));
      setTimeout(() => { throw new Error('handled'); }, 5);`,
    stopped: 'exit',
    error: { operation: 'uncaughtException', 'exception.message': 'handled' },
  },
  {
    name: 'a rejection of guarded work that nobody awaits',
    act: `if (trail) trail.circuitBreaker('b').execute(async () => { throw new Error('lost'); });
      else Promise.reject(new Error('lost'));`,
    stopped: 'uncaught_exception',
    error: { operation: 'unhandledRejection', 'exception.message': 'lost' },
  },
  { name: 'SIGTERM', act: WAIT, signals: ['SIGTERM'], stopped: 'SIGTERM' },
  { name: 'SIGINT', act: WAIT, signals: ['SIGINT'], stopped: 'SIGINT' },
  {
    name: 'SIGTERM with a listener that ends the program',
    act: `process.on('SIGTERM', () => process.exit(0)); ${WAIT}`,
    signals: ['SIGTERM'],
    stopped: 'exit',
  },
  {
    name: 'SIGINT with a listener that ends the program later, put before ours and for one time',
    before: `process.once('SIGINT', () => setTimeout(() => process.exit(7), 30));`,
    act: WAIT,
    signals: ['SIGINT'],
    stopped: 'exit',
  },
  {
    name: 'SIGTERM twice where the program listens once',
    before: `process.once('SIGTERM', () => setTimeout(() => console.log('still here, ready'), 10));`,
    act: WAIT,
    signals: ['SIGTERM', 'SIGTERM'],
    stopped: 'SIGTERM',
  },
  {
    name: 'SIGTERM with a listener that ignores it',
    act: `process.on('SIGTERM', () => { console.log('ignored'); clearTimeout(waiting); });
      console.log('ready'); const waiting = setTimeout(() => {}, 50_000);`,
    signals: ['SIGTERM'],
    stopped: 'exit',
  },
  {
    name: 'SIGTERM with a listener that closes the trail itself',
    act: `process.on('SIGTERM', async () => { await trail?.close('deploy'); process.exit(0); }); ${WAIT}`,
    signals: ['SIGTERM'],
    stopped: 'deploy',
  },
  {
    name: 'SIGTERM while a close is under way',
    // The only thread of the pool is busy: the close waits for its fdatasync behind it.
    env: { UV_THREADPOOL_SIZE: '1' },
    act: `import('node:crypto').then(({ pbkdf2 }) => {
        pbkdf2('p', 's', 2_000_000, 64, 'sha512', () => {});
        trail?.flush();
        trail?.close('deploy');
        ${WAIT}
      });`,
    signals: ['SIGTERM'],
    stopped: 'deploy',
    closed: 'SIGTERM',
  },
  {
    name: 'process.exit() while a close is under way',
    act: `trail?.flush(); trail?.close('deploy'); process.exit(2);`,
    stopped: 'deploy',
    closed: 'exit',
  },
];

const program = ({ before = '', act, options = '' }: Pick<Case, 'before' | 'act' | 'options'>) => `
  ${before}
  let trail;
  if (process.env.TRAIL !== undefined) {
    const { startRiskTrail } = await import(${INDEX});
    trail = await startRiskTrail({ serviceName: 'exit', dataDir: process.env.TRAIL, ${options} });
    trail.emit('order.placed', { 'trading.symbol': 'SPX', 'trading.side': 'buy', 'trading.quantity': 1 });
  }
  ${act}
`;

/** The same program without a trail and with one. */
async function runBoth(one: Case): Promise<{ without: ScriptResult; within: ScriptResult; dataDir: string }> {
  const dataDir = temporaryDirectory();
  const [without, within] = await Promise.all([
    runScript(program(one), { signals: one.signals, env: one.env }),
    runScript(program(one), { signals: one.signals, env: { ...one.env, TRAIL: dataDir } }),
  ]);
  return { without: comparable(without), within: comparable(within), dataDir };
}

/** Without the stack and the line of source that Node prints before an error: the error itself is what must be the same. */
function comparable(result: ScriptResult): ScriptResult {
  const lines = result.stderr.split('\n').filter((line) => !line.startsWith('    at '));
  const error = lines.findIndex((line) => /^(\w*Error\b|Uncaught|\[Object)/.test(line));
  return { ...result, stderr: (error < 0 ? lines : lines.slice(error)).join('\n') };
}

const find = (records: readonly FlatRecord[], event: string) => records.filter((record) => record.event === event);

describe('a process that ends as it would without us, its stream closed in order', { concurrent: true }, () => {
  it.each(CASES)('$name', { concurrent: true }, async (one) => {
    const { without, within, dataDir } = await runBoth(one);
    expect(within).toEqual(without);
    expect(await verifyDirectory(dataDir, { strict: true })).toEqual({ exitCode: 0, findings: [] });
    const records = await readTrail(dataDir);
    expect(find(records, 'order.placed')).toHaveLength(1);
    expect(find(records, 'system.stop').map((record) => record['system.stop.reason'])).toEqual([one.stopped]);
    expect(find(records, 'audit.stream_closed').map((record) => record['audit.closed.reason'])).toEqual([
      one.closed ?? one.stopped,
    ]);
    const errors = find(records, 'system.error');
    expect(errors).toHaveLength(one.error === undefined ? 0 : 1);
    if (one.error !== undefined) expect(errors[0]).toMatchObject(one.error);
    expect(records.at(-1)?.event).toBe('audit.checkpoint');
  });

  it('SIGTERM where a library counts the listeners to see whether it is alone', { concurrent: true }, async () => {
    const { without, within, dataDir } = await runBoth({
      name: '',
      act: `const onTerm = () => {
          if (process.listeners('SIGTERM').length > 1) return;
          process.removeListener('SIGTERM', onTerm);
          process.kill(process.pid, 'SIGTERM');
        };
        process.on('SIGTERM', onTerm);
        ${WAIT}`,
      signals: ['SIGTERM'],
      stopped: '',
    });
    expect(without.signal).toBe('SIGTERM');
    expect(within).toEqual(without);
    // Nobody could tell that it was the end: the next start takes the stream up.
    expect((await verifyDirectory(dataDir)).exitCode).toBe(0);
  });

  it('handleSignals: false: signals are the program’s alone, the rest is as before', { concurrent: true }, async () => {
    const { without, within, dataDir } = await runBoth({
      name: '',
      options: 'handleSignals: false',
      act: `console.log(process.listenerCount('SIGTERM'), process.listenerCount('SIGINT')); ${WAIT}`,
      signals: ['SIGTERM'],
      stopped: '',
    });
    expect(within).toEqual(without);
    expect(within).toMatchObject({ signal: 'SIGTERM', stdout: '0 0\nready\n' });
    const { exitCode, findings } = await verifyDirectory(dataDir);
    expect(exitCode).toBe(0);
    expect(findings).toContain('NOT_CLOSED');
    const next = await runScript(program({ act: '', options: 'handleSignals: false' }), { env: { TRAIL: dataDir } });
    expect(next.code).toBe(0);
    expect(await verifyDirectory(dataDir, { strict: true })).toEqual({ exitCode: 0, findings: [] });
    const events = (await readTrail(dataDir)).map((record) => record.event);
    expect(events.filter((event) => event === 'audit.recovered' || event === 'system.stop')).toEqual([
      'audit.recovered',
      'system.stop',
    ]);
  });

  it('leaves no listener behind after close', { concurrent: true }, async () => {
    const { stdout } = await runScript(
      program({
        before: `const names = ['exit', 'uncaughtExceptionMonitor', 'SIGTERM', 'SIGINT', 'beforeExit', 'warning'];
          const count = () => names.map((name) => process.listenerCount(name)).join();
          const first = count();`,
        act: `await trail.close(); console.log(count() === first);`,
      }),
      { env: { TRAIL: temporaryDirectory() } },
    );
    expect(stdout).toBe('true\n');
  });
});

describe('a worker thread', { concurrent: true }, () => {
  const worker = (end: string) => `
    const { Worker } = await import('node:worker_threads');
    const { startRiskTrail } = await import(${INDEX});
    const trail = await startRiskTrail({ serviceName: 'main', dataDir: process.env.TRAIL });
    const worker = new Worker(\`
      const { startRiskTrail } = await import(\${JSON.stringify(${INDEX})});
      const { parentPort } = await import('node:worker_threads');
      const trail = await startRiskTrail({ serviceName: 'worker', dataDir: process.env.TRAIL });
      trail.emit('system.error', { operation: 'work' });
      parentPort.postMessage('ready');
      ${end}
    \`, { eval: true, type: 'module', execArgv: ['--input-type=module'] });
    worker.on('message', () => { if (process.env.TERMINATE) worker.terminate(); });
    worker.on('error', () => console.log('error seen'));
    worker.on('exit', (code) => console.log('worker', code));
  `;
  const reasons = async (dataDir: string) =>
    (await readTrail(dataDir))
      .filter((record) => record.event === 'system.stop')
      .map((record) => `${record.stream?.split('/')[0]} ${record['system.stop.reason']}`)
      .sort();

  it.each([
    ['a normal end', '', 'worker 0\n', 'exit'],
    ['process.exit in it', 'process.exit(6);', 'worker 6\n', 'exit'],
    ['an uncaught exception in it', `throw new Error('x');`, 'error seen\nworker 1\n', 'uncaught_exception'],
  ])('%s closes its stream', { concurrent: true }, async (_, end, stdout, reason) => {
    const dataDir = temporaryDirectory();
    expect(await runScript(worker(end), { env: { TRAIL: dataDir } })).toMatchObject({ code: 0, stdout, stderr: '' });
    expect(await reasons(dataDir)).toEqual(['main exit', `worker ${reason}`]);
    expect(await verifyDirectory(dataDir, { strict: true })).toEqual({ exitCode: 0, findings: [] });
  });

  it('terminate() gives it no last word: its stream stays open and verifies', { concurrent: true }, async () => {
    const dataDir = temporaryDirectory();
    const result = await runScript(worker('setTimeout(() => {}, 50_000);'), {
      env: { TRAIL: dataDir, TERMINATE: '1' },
    });
    expect(result).toMatchObject({ code: 0, stdout: 'worker 1\n' });
    expect(await reasons(dataDir)).toEqual(['main exit']);
    const { exitCode, findings } = await verifyDirectory(dataDir);
    expect(exitCode).toBe(0);
    expect(findings).toContain('NOT_CLOSED');
  });
});
