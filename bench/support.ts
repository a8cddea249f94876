/** Measuring, shared by the benchmarks. Figures are microseconds unless they say otherwise. */
import { closeSync, ftruncateSync, mkdtempSync, openSync, rmSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { AuditInput } from '../src/audit/record/audit-input.ts';

/** @param values in any order; emptied of nothing, sorted as a copy */
export function quantile(values: readonly number[] | Float64Array, share: number): number {
  const sorted = Float64Array.from(values).sort();
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN;
}

export const median = (values: readonly number[]): number => quantile(values, 0.5);

/** Mean time of one call, in microseconds, over `calls` calls in a row. */
export function perCall(calls: number, fn: (i: number) => void): number {
  const start = performance.now();
  for (let i = 0; i < calls; i++) fn(i);
  return ((performance.now() - start) * 1000) / calls;
}

/**
 * Measures several things in turn, round after round, so that the machine's drift meets them all alike. Rounds in which the
 * processor was not ours alone are left out; where that leaves a subject less than three, all rounds of all stand.
 * @returns the median over the rounds, by name
 */
export async function inTurn(
  subjects: Readonly<Record<string, (i: number) => void>>,
  { rounds, calls, warmup = calls }: { rounds: number; calls: number; warmup?: number },
): Promise<Record<string, number>> {
  const yardstick = new Yardstick();
  const times: Record<string, { readonly time: number; readonly readings: readonly number[] }[]> = {};
  for (const [name, fn] of Object.entries(subjects)) {
    perCall(warmup, fn);
    await rest();
    times[name] = [];
  }
  for (let round = 0; round < rounds; round++) {
    for (const [name, fn] of Object.entries(subjects)) {
      const before = yardstick.read();
      const time = perCall(calls, fn);
      times[name]!.push({ time, readings: [before, yardstick.read()] });
      await rest();
    }
  }
  const isClear = yardstick.clear();
  const clear = Object.entries(times).map(([name, list]) => {
    return [name, list.filter(({ readings }) => readings.every(isClear))] as const;
  });
  const chosen = clear.some(([, list]) => list.length < 3) ? Object.entries(times) : clear;
  return Object.fromEntries(chosen.map(([name, list]) => [name, median(list.map(({ time }) => time))]));
}

/** A directory that is removed at the end. */
export function temporaryDirectory(): string {
  const path = mkdtempSync(join(tmpdir(), 'risktrail-bench-'));
  process.on('exit', () => rmSync(path, { recursive: true, force: true }));
  return path;
}

const PAGE_BYTES = 4096;

/**
 * Memory for what is written. The first use of a page that the host has yet to give to a virtual machine takes 10 to 20 µs, for
 * whoever writes: the figure is then the host's. A machine that has run for a while writes to pages that other files gave back,
 * and so do we: a file is filled first, and made shorter by what is written.
 */
export class PagesAtHand {
  readonly #fd: number;
  #bytes: number;

  /** @param bytes how much is going to be written */
  constructor(directory: string, bytes: number) {
    this.#fd = openSync(join(directory, 'pages'), 'w');
    this.#bytes = Math.ceil(bytes / PAGE_BYTES) * PAGE_BYTES;
    // Page by page: many at once become large ones, which are only given back whole.
    const page = Buffer.alloc(PAGE_BYTES, 1);
    for (let done = 0; done < this.#bytes; done += PAGE_BYTES) writeSync(this.#fd, page);
  }

  /** Gives back as many pages as hold `bytes`. */
  give(bytes: number): void {
    this.#bytes = Math.max(0, this.#bytes - bytes);
    ftruncateSync(this.#fd, this.#bytes);
  }

  end(): void {
    closeSync(this.#fd);
  }
}

/** So much slower than its best the fixed work may be: short of what a neighbour costs, above the noise of the clock. */
const CLEAR = 1.15;

/**
 * Whether the processor was ours alone. On a shared machine a neighbour on the other thread of the same core makes all but the
 * simplest work slower by half, for a second or an hour. Fixed work before and behind each turn of a benchmark tells: turns
 * in which it took longer than at its best are left out.
 */
export class Yardstick {
  readonly #values = new Float64Array(4096).fill(1);
  readonly #readings: number[] = [];
  #sum = 0;

  constructor() {
    // Compiled before it is read.
    for (let i = 0; i < 2000; i++) this.read();
    this.#readings.length = 0;
  }

  /** Does the work once, some 50 µs of it. @returns the number of this reading */
  read(): number {
    const values = this.#values;
    const start = performance.now();
    let [a, b, c, d] = [0, 0, 0, 0];
    for (let pass = 0; pass < 24; pass++) {
      for (let i = 0; i < values.length; i += 4) {
        a += values[i]!;
        b += values[i + 1]!;
        c += values[i + 2]!;
        d += values[i + 3]!;
      }
    }
    const took = performance.now() - start;
    this.#sum += a + b + c + d;
    return this.#readings.push(took) - 1;
  }

  /** Tells of a reading whether it was as quick as the quickest hundredth of all there are by now. */
  clear(): (reading: number) => boolean {
    const most = quantile(this.#readings, 0.01) * CLEAR;
    return (reading) => this.#readings[reading]! <= most;
  }
}

/** A record of eight attributes, two of which change. @param timeUnixNano decimal nanoseconds */
export function breakerChange(index: number, timeUnixNano: string): AuditInput {
  return {
    eventName: 'risk.circuit_breaker.state_change',
    severityNumber: 13,
    severityText: 'WARN',
    body: 'Circuit breaker broker: closed to open',
    timeUnixNano,
    traceId: '0193f6a011117aaa8bbb123456789abc',
    spanId: '0123456789abcdef',
    flags: 1,
    attributes: {
      'risk.circuit_breaker.name': 'broker',
      'risk.circuit_breaker.state.old': 'closed',
      'risk.circuit_breaker.state.new': 'open',
      'risk.circuit_breaker.failure_count': index % 100,
      'trading.symbol': 'AAPL',
      'trading.price': 150.25 + (index % 1000) / 100,
      'risk.decision': 'deny',
      'correlation.id': `0193f6a0-1111-7aaa-8bbb-1234567${10_000 + (index % 50_000)}`,
    },
  };
}

/** A table in Markdown; numbers with two digits. */
export function table(head: readonly string[], rows: readonly (readonly (string | number)[])[]): string {
  const text = (cell: string | number) => (typeof cell === 'number' ? cell.toFixed(2) : cell);
  return [
    `| ${head.join(' | ')} |`,
    `|${head.map(() => '---').join('|')}|`,
    ...rows.map((row) => `| ${row.map(text).join(' | ')} |`),
  ].join('\n');
}

/** A pause in which work that was put off is done: it belongs to nobody's time. */
const rest = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, 20));

/** Lets everything that waits run: timers, file-system answers, checkpoints. */
export const breathe = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
