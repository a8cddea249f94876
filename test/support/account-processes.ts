/** Starts `account-child.ts` processes, tells them what to do, and waits for what they report. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { onTestFinished } from 'vitest';

// biome-ignore lint/suspicious/noExplicitAny: what a child reports
type Report = any;

const DEADLINE_MS = 60_000;

export class AccountProcess {
  readonly #child: ChildProcess;
  readonly #reports: Report[] = [];
  readonly #wakes = new Set<() => void>();
  #errors = '';
  /** `<service>/<stream UUID>` */
  stream = '';

  constructor(dataDir: string, options: object) {
    const script = join(import.meta.dirname, 'account-child.ts');
    this.#child = spawn(process.execPath, [script, dataDir, JSON.stringify(options)], {
      env: {
        PATH: process.env['PATH'],
        RISKTRAIL_STALL_BUDGET_MS: '0',
        OTEL_TRACES_EXPORTER: 'none',
        OTEL_METRICS_EXPORTER: 'none',
        OTEL_LOGS_EXPORTER: 'none',
      },
      stdio: ['pipe', 'pipe', 'pipe'],
    });
    this.#child.stderr!.on('data', (chunk) => {
      this.#errors += chunk;
    });
    createInterface({ input: this.#child.stdout! }).on('line', (line) => {
      this.#reports.push(JSON.parse(line));
      for (const wake of this.#wakes) wake();
    });
    this.#child.on('exit', () => {
      for (const wake of this.#wakes) wake();
    });
  }

  /** The first report since `after` reports that fits. */
  async seen(fits: (report: Report) => boolean, after = 0): Promise<Report> {
    for (const deadline = Date.now() + DEADLINE_MS; ; ) {
      const found = this.#reports.slice(after).find(fits);
      if (found !== undefined) return found;
      const left = deadline - Date.now();
      if (left <= 0 || this.#child.exitCode !== null) {
        throw new Error(`not seen among ${JSON.stringify(this.#reports.slice(after))}; ${this.#errors}`);
      }
      await new Promise<void>((resolve) => {
        const timer = setTimeout(wake, left);
        const wakes = this.#wakes;
        function wake(): void {
          clearTimeout(timer);
          wakes.delete(wake);
          resolve();
        }
        wakes.add(wake);
      });
    }
  }

  get reports(): number {
    return this.#reports.length;
  }

  /** Does an act. @returns what it gave, and when */
  async do(act: string, ...args: readonly unknown[]): Promise<Report> {
    const after = this.#reports.length;
    this.#child.stdin!.write(`${JSON.stringify([act, ...args])}\n`);
    return this.seen((report) => report.type === 'done' && report.act === act, after);
  }

  /** Asks until the answer fits. */
  async until(act: string, args: readonly unknown[], fits: (result: Report) => boolean): Promise<Report> {
    for (const deadline = Date.now() + DEADLINE_MS; ; ) {
      const { result } = await this.do(act, ...args);
      if (fits(result)) return result;
      if (Date.now() > deadline) throw new Error(`still ${JSON.stringify(result)}`);
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
  }

  async kill(): Promise<void> {
    const exited = once(this.#child, 'exit');
    this.#child.kill('SIGKILL');
    await exited;
  }

  async close(): Promise<void> {
    const exited = once(this.#child, 'exit');
    await this.do('close');
    this.#child.stdin!.end();
    await exited;
  }

  /** As {@link kill}, where it still runs. */
  async end(): Promise<void> {
    if (this.#child.exitCode === null && this.#child.signalCode === null) await this.kill();
  }
}

/** A process that is ready; ended with the test. */
export async function startAccountProcess(dataDir: string, options: object = {}): Promise<AccountProcess> {
  const child = new AccountProcess(dataDir, options);
  onTestFinished(() => child.end());
  ({ stream: child.stream } = await child.seen((report) => report.type === 'ready'));
  return child;
}
