/** The journal's end of its writer thread. */
import { Worker } from 'node:worker_threads';
import type { JournalFs } from './journal-fs.ts';
import type { LineRing } from './line-ring.ts';
import { COMMAND, WORD, type WriterThreadData, type WriterThreadMessage } from './ring-control.ts';

export interface WriterThreadOptions {
  readonly ring: LineRing;
  readonly fs: JournalFs;
  /** A write is done. */
  readonly onWrote: (tookMs: number) => void;
  /** The thread could not write, or is dead; it touches no file any more. */
  readonly onFailed: (error: Error) => void;
}

const source = import.meta.url.endsWith('.ts') ? './writer-worker.ts' : './writer-worker.js';

/** A thread that empties a ring. It never keeps the process alive, unless {@link WriterThread.hold} says so. */
export class WriterThread {
  readonly #options: WriterThreadOptions;
  readonly #words: Int32Array;
  readonly #worker: Worker;
  #dead = false;
  #parked: (() => void)[] = [];

  /** @throws the system's error where no thread can be started */
  constructor(options: WriterThreadOptions) {
    const { ring, fs } = options;
    this.#options = options;
    this.#words = ring.control.words;
    Atomics.store(this.#words, WORD.BUSY, 0);
    Atomics.store(this.#words, WORD.COMMAND, COMMAND.RUN);
    const workerData: WriterThreadData = { control: ring.controlMemory, bytes: ring.memory, fs: fs.thread };
    this.#worker = new Worker(new URL(source, import.meta.url), {
      workerData,
      execArgv: [],
      env: {},
      // The files are the journal's.
      trackUnmanagedFds: false,
    });
    this.#worker.on('message', (message: WriterThreadMessage) => this.#hear(message));
    this.#worker.on('error', (error) => this.#end(error as Error));
    this.#worker.on('exit', () => this.#end(new Error('the writer thread ended')));
    // Behind the listeners: the first of messages takes it back.
    this.#worker.unref();
  }

  /** Whether the thread has ended. */
  get dead(): boolean {
    return this.#dead;
  }

  /** Lets the thread write what the ring's limit allows, to the file `fd`. */
  run(fd: number): void {
    Atomics.store(this.#words, WORD.FD, fd);
    Atomics.store(this.#words, WORD.COMMAND, COMMAND.RUN);
    this.wake();
  }

  /** The ring's limit was raised. */
  wake(): void {
    Atomics.add(this.#words, WORD.BELL, 1);
    Atomics.notify(this.#words, WORD.BELL);
  }

  /** Whether the process waits for the thread. */
  hold(held: boolean): void {
    if (held) this.#worker.ref();
    else this.#worker.unref();
  }

  /** Resolves once the thread touches no file any more. */
  park(): Promise<void> {
    this.#command(COMMAND.PARK);
    if (this.#dead || Atomics.load(this.#words, WORD.BUSY) === 0) return Promise.resolve();
    return new Promise((resolve) => this.#parked.push(resolve));
  }

  /** {@link park}, waiting for it. @returns whether the thread is parked */
  parkNow(untilMs: number, now: () => number): boolean {
    this.#command(COMMAND.PARK);
    for (;;) {
      const turn = Atomics.load(this.#words, WORD.TURN);
      if (this.#dead || Atomics.load(this.#words, WORD.BUSY) === 0) return true;
      const left = untilMs - now();
      if (left <= 0) return false;
      Atomics.wait(this.#words, WORD.TURN, turn, left);
    }
  }

  /** Waits until the ring is empty, the thread gives up or the time is over. @returns whether it is empty */
  drainNow(untilMs: number, now: () => number): boolean {
    return this.waitUntil(() => this.#options.ring.idle, untilMs, now);
  }

  /** Waits for writes of the thread until `enough` says so, the thread gives up or the time is over. */
  waitUntil(enough: () => boolean, untilMs: number, now: () => number): boolean {
    for (;;) {
      const turn = Atomics.load(this.#words, WORD.TURN);
      if (enough()) return true;
      const left = untilMs - now();
      if (this.#dead || left <= 0 || Atomics.load(this.#words, WORD.COMMAND) !== COMMAND.RUN) return false;
      Atomics.wait(this.#words, WORD.TURN, turn, left);
    }
  }

  /** Ends the thread after the write that it is in. */
  quit(): void {
    this.#command(COMMAND.QUIT);
    this.#dead = true;
    this.#settle();
  }

  #command(command: number): void {
    Atomics.store(this.#words, WORD.COMMAND, command);
    this.wake();
  }

  #hear(message: WriterThreadMessage): void {
    if (Atomics.load(this.#words, WORD.BUSY) === 0) this.#settle();
    if (this.#dead) return;
    if (message.kind === 'wrote') this.#options.onWrote(message.tookMs);
    else if (message.kind === 'failed') {
      this.#options.onFailed(Object.assign(new Error(message.message), { code: message.code }));
    }
  }

  #end(error: Error): void {
    if (this.#dead) return;
    this.#dead = true;
    this.#settle();
    this.#options.onFailed(Object.assign(error, { code: 'WRITER_THREAD' }));
  }

  #settle(): void {
    const parked = this.#parked;
    this.#parked = [];
    for (const resolve of parked) resolve();
  }
}
