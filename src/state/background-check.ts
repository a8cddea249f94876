/** Verifies a whole trail in a thread of its own, after a start that verified only its tail. */
import { Worker } from 'node:worker_threads';
import type { StreamFinding } from '../audit/verify/follow.ts';

/** How far the check is. */
export interface BackgroundCheckStats {
  /** `failed`: it could not be made; that says nothing of the trail. */
  readonly state: 'waiting' | 'running' | 'done' | 'failed';
  /** Records looked at. */
  readonly records: number;
  /** Findings that no record of the trail told of before. */
  readonly findings: number;
  /** Findings that an earlier check recorded in the trail. */
  readonly known: number;
  /** Why it failed. */
  readonly reason?: string;
}

/** What the thread is given. */
export interface BackgroundCheckInput {
  /** Directory of the stream that goes on. */
  readonly directory: string;
  /** Verifier keys of the service, as their file holds them. */
  readonly keys: string;
}

/** What the thread says. */
export type BackgroundCheckMessage =
  | { readonly type: 'progress'; readonly records: number }
  | {
      readonly type: 'done';
      readonly records: number;
      readonly findings: readonly StreamFinding[];
      readonly known: number;
    }
  | { readonly type: 'failed'; readonly message: string };

export interface BackgroundCheckOptions extends BackgroundCheckInput {
  /** Rest between the start and the check, milliseconds: a start has better things to do. */
  readonly delayMs: number;
  /** Told once, of all new findings; not where there are none. */
  onFindings(findings: readonly StreamFinding[]): void;
  /** Told where the check could not be made. */
  onError(error: unknown): void;
}

const source = import.meta.url.endsWith('.ts') ? './background-check-worker.ts' : './background-check-worker.js';

/** One check. Neither its timer nor its thread keeps the process alive. */
export class BackgroundCheck {
  readonly #options: BackgroundCheckOptions;
  readonly #timer: NodeJS.Timeout;
  #worker: Worker | undefined;
  #stats: BackgroundCheckStats = { state: 'waiting', records: 0, findings: 0, known: 0 };
  #stopped = false;

  constructor(options: BackgroundCheckOptions) {
    this.#options = options;
    this.#timer = setTimeout(() => this.#begin(), options.delayMs);
    this.#timer.unref();
  }

  stats(): BackgroundCheckStats {
    return this.#stats;
  }

  /** Ends it, however far it is. */
  stop(): void {
    this.#stopped = true;
    clearTimeout(this.#timer);
    void this.#worker?.terminate();
  }

  #begin(): void {
    const { directory, keys } = this.#options;
    const input: BackgroundCheckInput = { directory, keys };
    try {
      this.#worker = new Worker(new URL(source, import.meta.url), {
        ...{ name: 'risktrail-check', execArgv: [], env: {}, workerData: input },
        resourceLimits: { maxYoungGenerationSizeMb: 16 },
      });
    } catch (error) {
      this.#fail(error);
      return;
    }
    this.#stats = { ...this.#stats, state: 'running' };
    this.#worker.on('message', (message: BackgroundCheckMessage) => this.#told(message));
    this.#worker.on('error', (error) => this.#fail(error));
    this.#worker.on('exit', () => {
      if (this.#stats.state === 'running') this.#fail(new Error('the thread ended'));
    });
    this.#worker.unref();
  }

  #told(message: BackgroundCheckMessage): void {
    if (this.#stopped) return;
    if (message.type === 'failed') {
      this.#fail(new Error(message.message));
    } else if (message.type === 'progress') {
      this.#stats = { ...this.#stats, records: message.records };
    } else {
      const { records, findings, known } = message;
      this.#stats = { state: 'done', records, findings: findings.length, known };
      if (findings.length > 0) this.#options.onFindings(findings);
    }
  }

  #fail(error: unknown): void {
    if (this.#stopped || this.#stats.state === 'failed') return;
    const reason = error instanceof Error ? error.message : String(error);
    this.#stats = { ...this.#stats, state: 'failed', reason };
    this.#options.onError(error);
  }
}
