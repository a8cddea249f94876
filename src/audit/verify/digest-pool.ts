/** Digests blocks in worker threads. */
import { Worker } from 'node:worker_threads';
import type { LineBlock } from '../read/files.ts';
import type { BlockDigest } from './digest.ts';
import { type DigestAnswer, type DigestRequest, unpack } from './digest-message.ts';

/** Raised where a thread can't be started or has died: the pass starts again without threads. */
export class ThreadsLost extends Error {}

/** Blocks that a thread is given before it has answered: one at hand, one that waits for it. */
const BLOCKS_AHEAD = 2;
/** Room behind a block, so that the memory of one serves for the next that is a line longer. */
const SPARE_BYTES = 1 << 16;
/** Longer blocks, of huge lines, don't leave their memory behind. */
const KEEP_BYTES = 1 << 22;
const MEGABYTE = 1 << 20;

/** A block's way through the threads. */
interface Turn {
  resolve(digest: BlockDigest): void;
  reject(error: Error): void;
}

/** One thread, and those who wait for it, in order. */
interface Thread {
  readonly worker: Worker;
  readonly turns: Turn[];
}

const source = import.meta.url.endsWith('.ts') ? './digest-worker.ts' : './digest-worker.js';

/** Threads that digest. They never keep the process alive by themselves. */
export class DigestPool {
  readonly #threads: Thread[] = [];
  readonly #free: ArrayBuffer[] = [];
  #lost: ThreadsLost | undefined;

  /** @throws ThreadsLost where no thread can be started */
  constructor(threads: number) {
    try {
      for (let i = 0; i < threads; i++) this.#threads.push(this.#start());
    } catch (error) {
      this.close();
      throw new ThreadsLost('no thread can be started', { cause: error });
    }
  }

  /** How many blocks may be on their way at a time. */
  get capacity(): number {
    return this.#threads.length * BLOCKS_AHEAD;
  }

  #start(): Thread {
    const worker = new Worker(new URL(source, import.meta.url), {
      execArgv: [],
      env: {},
      resourceLimits: { maxYoungGenerationSizeMb: 16 },
    });
    const thread: Thread = { worker, turns: [] };
    worker.unref();
    worker.on('message', (answer: DigestAnswer) => {
      if (this.#free.length < this.capacity && answer.memory.byteLength <= KEEP_BYTES) this.#free.push(answer.memory);
      thread.turns.shift()?.resolve(unpack(answer));
      if (thread.turns.length === 0) worker.unref();
    });
    worker.on('error', (error) => this.#lose(error as Error));
    worker.on('exit', () => this.#lose(new Error('a thread ended')));
    return thread;
  }

  #lose(cause: Error): void {
    this.#lost ??= new ThreadsLost(cause.message, { cause });
    for (const { turns } of this.#threads) for (const turn of turns.splice(0)) turn.reject(this.#lost);
  }

  /**
   * Digests a block, whose bytes are copied before this returns.
   * @throws ThreadsLost
   */
  digest({ bytes, cut }: LineBlock): Promise<BlockDigest> {
    if (this.#lost !== undefined) return Promise.reject(this.#lost);
    const thread = this.#threads.reduce((least, one) => (one.turns.length < least.turns.length ? one : least));
    let memory = this.#free.pop();
    if (memory === undefined || memory.byteLength < bytes.length) {
      memory = new ArrayBuffer(Math.ceil((bytes.length + SPARE_BYTES) / MEGABYTE) * MEGABYTE);
    }
    new Uint8Array(memory).set(bytes);
    const request: DigestRequest = { memory, length: bytes.length, cut };
    // Whoever waits for an answer wants the process to live until it is there.
    if (thread.turns.length === 0) thread.worker.ref();
    return new Promise((resolve, reject) => {
      thread.turns.push({ resolve, reject });
      thread.worker.postMessage(request, [memory]);
    });
  }

  /** Ends the threads. */
  close(): void {
    this.#lost ??= new ThreadsLost('closed');
    for (const { worker, turns } of this.#threads) {
      for (const turn of turns.splice(0)) turn.reject(this.#lost);
      void worker.terminate();
    }
  }
}
