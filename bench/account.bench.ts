/**
 * How soon a process sees what another one of its account did: three processes on one data directory, a trip, a halt and a
 * fill in one, the time until each of the others has it in its layers. Time of one machine's clock in all processes.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';

const ROUNDS = 100;
const PEERS = 2;

interface Said {
  readonly type: string;
  readonly state?: string;
  readonly source?: string;
  readonly atMs: number;
}

class Peer {
  readonly child: ChildProcess;
  readonly #waiting = new Set<(said: Said) => void>();

  constructor(dataDir: string) {
    const script = join(import.meta.dirname, '..', 'test', 'support', 'account-child.ts');
    this.child = spawn(process.execPath, [script, dataDir], {
      env: {
        PATH: process.env['PATH'],
        OTEL_TRACES_EXPORTER: 'none',
        OTEL_METRICS_EXPORTER: 'none',
        OTEL_LOGS_EXPORTER: 'none',
      },
      stdio: ['pipe', 'pipe', 'inherit'],
    });
    createInterface({ input: this.child.stdout! }).on('line', (line) => {
      const said = JSON.parse(line) as Said;
      for (const waiting of [...this.#waiting]) waiting(said);
    });
  }

  next(fits: (said: Said) => boolean): Promise<Said> {
    return new Promise((resolve) => {
      const waiting = (said: Said) => {
        if (!fits(said)) return;
        this.#waiting.delete(waiting);
        resolve(said);
      };
      this.#waiting.add(waiting);
    });
  }

  do(act: string, ...args: readonly unknown[]): Promise<Said> {
    const done = this.next(({ type }) => type === 'done');
    this.child.stdin!.write(`${JSON.stringify([act, ...args])}\n`);
    return done;
  }
}

const dataDir = mkdtempSync(join(tmpdir(), 'account-bench-'));
const peers = Array.from({ length: PEERS + 1 }, () => new Peer(dataDir));
await Promise.all(peers.map((one) => one.next(({ type }) => type === 'ready')));
const [first, ...others] = peers as [Peer, ...Peer[]];

/** Times from what one process did until each of the others has it, milliseconds. */
async function measure(act: string, back: string, fits: (said: Said) => boolean, isBack: (said: Said) => boolean) {
  const times: number[] = [];
  for (let round = 0; round < ROUNDS; round++) {
    const seen = others.map((one) => one.next(fits));
    const own = first.next(fits);
    await first.do(act);
    const { atMs } = await own;
    for (const one of await Promise.all(seen)) times.push(one.atMs - atMs);
    const over = others.map((one) => one.next(isBack));
    await first.do(back);
    await Promise.all(over);
  }
  times.sort((a, b) => a - b);
  const at = (share: number) => times[Math.min(times.length - 1, Math.floor(times.length * share))]!.toFixed(1);
  console.log(`| ${act} | ${times.length} | ${at(0.5)} | ${at(0.95)} | ${at(1)} |`);
}

console.log(`Node ${process.version}, ${PEERS + 1} processes, ${new Date().toISOString().slice(0, 10)}\n`);
console.log('| in one process | seen | median ms | 95 % ms | longest ms |');
console.log('|---|---|---|---|---|');
const breaker = (state: string) => (said: Said) => said.type === 'breaker' && said.state === state;
const gate = (state: string) => (said: Said) =>
  said.type === 'gate' && said.state === state && said.source === 'manual';
await measure('trip', 'reset', breaker('OPEN'), breaker('CLOSED'));
await measure('halt', 'resume', gate('HALTED'), gate('ACTIVE'));
for (const { child } of peers) child.kill();
rmSync(dataDir, { recursive: true, force: true });
