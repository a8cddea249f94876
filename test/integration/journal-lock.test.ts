import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Worker } from 'node:worker_threads';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { tryLock } from '../../src/audit/journal/lock.ts';

let dir: string;
let path: string;

beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'risktrail-lock-'));
  path = join(dir, 'lock');
});
afterEach(() => rmSync(dir, { recursive: true, force: true }));

const lockModule = JSON.stringify(new URL('../../src/audit/journal/lock.ts', import.meta.url).href);
/** Says `held` or `busy`, then waits to be killed. */
const holder = () => `
  import { tryLock } from ${lockModule};
  globalThis.lock = tryLock(${JSON.stringify(path)});
  console.log(globalThis.lock ? 'held' : 'busy');
  setInterval(() => {}, 1000);`;
const nodeArguments = () => ['--input-type=module', '-e', holder()];

async function firstLine(child: ChildProcess): Promise<string> {
  const [chunk] = await once(child.stdout!, 'data');
  return String(chunk).trim();
}

async function kill(child: ChildProcess): Promise<void> {
  const exit = once(child, 'exit');
  child.kill('SIGKILL');
  await exit;
}

describe('the lock of a stream', () => {
  it('is held by one at a time, also within one thread, and free after release', () => {
    const lock = tryLock(path);
    expect(lock).toBeDefined();
    expect(tryLock(path)).toBeUndefined();
    lock!.release();
    lock!.release();
    const again = tryLock(path);
    expect(again).toBeDefined();
    again!.release();
    // Nothing is written: neither an id nor a journal of SQLite's.
    expect(readdirSync(dir)).toEqual(['lock']);
    expect(statSync(path).size).toBe(0);
    expect(statSync(path).mode & 0o777).toBe(0o600);
  });

  it('is held by one of several processes, and free once that one is killed', async () => {
    const children = [1, 2, 3].map(() =>
      spawn(process.execPath, nodeArguments(), { stdio: ['ignore', 'pipe', 'inherit'] }),
    );
    try {
      const said = await Promise.all(children.map(firstLine));
      expect(said.toSorted()).toEqual(['busy', 'busy', 'held']);
      expect(tryLock(path)).toBeUndefined();
      await kill(children[said.indexOf('held')]!);
      const lock = tryLock(path);
      expect(lock).toBeDefined();
      lock!.release();
    } finally {
      for (const child of children) child.kill('SIGKILL');
    }
  });

  it('is kept apart between the threads of one process', async () => {
    const lock = tryLock(path);
    const ask = async () => {
      const worker = new Worker(
        `import(${lockModule}).then(({ tryLock }) => {
          const lock = tryLock(${JSON.stringify(path)});
          require('node:worker_threads').parentPort.postMessage(lock !== undefined);
          lock?.release();
        });`,
        { eval: true },
      );
      const [held] = await once(worker, 'message');
      await worker.terminate();
      return held;
    };
    expect(await ask()).toBe(false);
    // The other thread's attempt has not taken the lock from us.
    expect(
      spawnSync(process.execPath, ['--input-type=module', '-e', holder().replace(/setInterval.*/, '')], {
        encoding: 'utf8',
      }).stdout,
    ).toBe('busy\n');
    lock!.release();
    expect(await ask()).toBe(true);
  });

  it('does not depend on process ids: a file that names a living process is taken, one that is held is not', () => {
    writeFileSync(path, `${process.pid}\n`);
    const lock = tryLock(path);
    expect(lock).toBeDefined();
    expect(tryLock(path)).toBeUndefined();
    lock!.release();
    writeFileSync(path, 'x'.repeat(100_000));
    const other = tryLock(path);
    expect(other).toBeDefined();
    other!.release();
  });

  const namespaces = spawnSync('unshare', ['--pid', '--fork', 'true']).status === 0;
  it.skipIf(!namespaces)(
    'holds between two pid namespaces, in which both holders may be process 1 (needs unshare as root)',
    async () => {
      const inNamespace = () =>
        spawn('unshare', ['--pid', '--fork', '--kill-child', process.execPath, ...nodeArguments()], {
          stdio: ['ignore', 'pipe', 'inherit'],
        });
      const first = inNamespace();
      let second: ChildProcess | undefined;
      try {
        expect(await firstLine(first)).toBe('held');
        second = inNamespace();
        expect(await firstLine(second)).toBe('busy');
        await kill(first);
        await kill(second);
        const lock = await eventually(() => tryLock(path));
        lock.release();
      } finally {
        first.kill('SIGKILL');
        second?.kill('SIGKILL');
      }
    },
  );

  it('says nothing on stderr', () => {
    const { stderr } = spawnSync(
      process.execPath,
      ['--input-type=module', '-e', holder().replace(/setInterval.*/, '')],
      { encoding: 'utf8' },
    );
    expect(stderr).not.toMatch(/sqlite/i);
  });
});

/** The namespace's inner process dies just after `unshare` itself. */
async function eventually<T>(attempt: () => T | undefined): Promise<T> {
  for (let turn = 0; turn < 1000; turn++) {
    const result = attempt();
    if (result !== undefined) return result;
    await new Promise((resolve) => setImmediate(resolve));
  }
  throw new Error('the lock never became free');
}
