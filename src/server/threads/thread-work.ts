/** Answers long questions in threads: a few at a time, each within bounds of time and memory, and none for nobody. */
import { Worker } from 'node:worker_threads';
import { type ErrorCode, RiskTrailError } from '../../core/errors.ts';
import { CLIENT_GONE, ProblemError } from '../problem.ts';
import type { ThreadAnswer } from './question-worker.ts';
import type { ThreadQuestion } from './questions.ts';

/** Bounds of threads. */
export interface ThreadLimits {
  /** Threads at a time. */
  readonly threads: number;
  /** Questions that are answered or wait; more are refused. */
  readonly questions: number;
  /** How long one may wait and take, in milliseconds. */
  readonly timeoutMs: number;
  /** Memory of a thread for JavaScript's objects, in bytes. */
  readonly memoryBytes: number;
}

const MEBIBYTE = 2 ** 20;
const source = import.meta.url.endsWith('.ts') ? './question-worker.ts' : './question-worker.js';

/** The answer to a request that nobody waits for any longer: it reaches nobody. */
const gone = (): ProblemError => new ProblemError(CLIENT_GONE, 'NOBODY_WAITS', 'who asked has gone');

export class ThreadWork {
  readonly #limits: ThreadLimits;
  readonly #closing = new AbortController();
  readonly #waiting: (() => void)[] = [];
  #asked = 0;
  #running = 0;

  constructor(limits: ThreadLimits) {
    this.#limits = limits;
  }

  /** Questions that are being answered. */
  get running(): number {
    return this.#running;
  }

  /**
   * Answers a question.
   * @param signal says that nobody waits for the answer any longer: its thread ends at once
   * @throws RiskTrailError SERVER_BUSY, QUESTION_TIMEOUT, QUESTION_MEMORY, and those of what was asked
   */
  async ask(question: ThreadQuestion, signal?: AbortSignal): Promise<string> {
    const { questions, timeoutMs, memoryBytes } = this.#limits;
    if (this.#asked >= questions) throw new RiskTrailError('SERVER_BUSY', { waiting: this.#asked });
    this.#asked++;
    const late = AbortSignal.timeout(timeoutMs);
    const stop = AbortSignal.any([late, this.#closing.signal, ...(signal === undefined ? [] : [signal])]);
    try {
      await this.#turn(stop);
      try {
        return await runThread(question, memoryBytes, stop);
      } finally {
        this.#running--;
        this.#waiting.shift()?.();
      }
    } catch (error) {
      if (!(error instanceof Stopped)) throw error;
      throw late.aborted ? new RiskTrailError('QUESTION_TIMEOUT', { seconds: timeoutMs / 1000 }) : gone();
    } finally {
      this.#asked--;
    }
  }

  /** Ends every thread; who waits for one is told. */
  close(): void {
    this.#closing.abort();
  }

  async #turn(stop: AbortSignal): Promise<void> {
    if (stop.aborted) throw new Stopped();
    if (this.#running >= this.#limits.threads) {
      await new Promise<void>((resolve, reject) => {
        const leave = () => {
          this.#waiting.splice(this.#waiting.indexOf(begin), 1);
          reject(new Stopped());
        };
        const begin = () => {
          stop.removeEventListener('abort', leave);
          // Counted here: nobody else may take the place meanwhile.
          this.#running++;
          resolve();
        };
        this.#waiting.push(begin);
        stop.addEventListener('abort', leave, { once: true });
      });
      return;
    }
    this.#running++;
  }
}

/** Raised in here: nobody waits, it took too long, or the server ends. */
class Stopped extends Error {}

async function runThread(question: ThreadQuestion, memoryBytes: number, stop: AbortSignal): Promise<string> {
  const worker = new Worker(new URL(source, import.meta.url), {
    execArgv: [],
    env: {},
    workerData: question,
    resourceLimits: { maxOldGenerationSizeMb: Math.ceil(memoryBytes / MEBIBYTE) },
  });
  let end = (): void => {};
  try {
    const told = await new Promise<ThreadAnswer>((resolve, reject) => {
      end = () => reject(new Stopped());
      stop.addEventListener('abort', end, { once: true });
      if (stop.aborted) end();
      worker.once('message', resolve);
      worker.once('error', reject);
      worker.once('exit', (code) => reject(new Error(`a thread ended with ${code} and without an answer`)));
    });
    if ('text' in told) return told.text;
    if ('refused' in told) throw new RiskTrailError(told.refused.code as ErrorCode, told.refused.details);
    throw Object.assign(new Error(told.defect.message), { stack: told.defect.stack });
  } catch (error) {
    if ((error as { code?: unknown }).code !== 'ERR_WORKER_OUT_OF_MEMORY') throw error;
    throw new RiskTrailError('QUESTION_MEMORY', { mebibytes: Math.ceil(memoryBytes / MEBIBYTE) }, error);
  } finally {
    stop.removeEventListener('abort', end);
    // Until it is gone, it holds a processor and its memory.
    await worker.terminate();
  }
}
