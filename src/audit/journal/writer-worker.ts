/**
 * The writer thread: writes the lines of a ring to a file, in order, while the journal's own thread goes on trading. The
 * protocol stands in `ring-control.ts`.
 */
import { writeSync as nodeWriteSync } from 'node:fs';
import { parentPort, workerData } from 'node:worker_threads';
import { createSystemClock } from '../../core/clock.ts';
import { COMMAND, COUNT, ringControl, WORD, type WriterThreadData, type WriterThreadMessage } from './ring-control.ts';

/** At most so much in one write, so that progress is told in between. */
const MAX_WRITE_BYTES = 262_144;

const { control, bytes, fs } = workerData as WriterThreadData;
const { words, counts } = ringControl(control);
const ring = Buffer.from(bytes);
const clock = createSystemClock();

function tell(message: WriterThreadMessage): void {
  parentPort?.postMessage(message);
}

function turn(): void {
  Atomics.add(words, WORD.TURN, 1);
  Atomics.notify(words, WORD.TURN);
}

/** Stops touching the file. */
function park(): void {
  Atomics.store(words, WORD.BUSY, 0);
  turn();
}

/** Writes what may be written, at most up to the ring's end. @returns whether there was anything */
function writeSome(writeSync: typeof nodeWriteSync): boolean {
  const head = Atomics.load(counts, COUNT.HEAD);
  const waiting = Number(Atomics.load(counts, COUNT.LIMIT) - head);
  if (waiting === 0) return false;
  const at = Number(head % BigInt(ring.length));
  const start = clock.monotonic();
  const done = writeSync(Atomics.load(words, WORD.FD), ring, at, Math.min(waiting, ring.length - at, MAX_WRITE_BYTES));
  if (done === 0) throw Object.assign(new Error('ENOSPC: nothing was written'), { code: 'ENOSPC' });
  Atomics.store(counts, COUNT.HEAD, head + BigInt(done));
  turn();
  tell({ kind: 'wrote', tookMs: clock.monotonic() - start });
  return true;
}

function run(writeSync: typeof nodeWriteSync): void {
  for (;;) {
    const bell = Atomics.load(words, WORD.BELL);
    Atomics.store(words, WORD.BUSY, 1);
    const command = Atomics.load(words, WORD.COMMAND);
    if (command === COMMAND.RUN) {
      try {
        if (writeSome(writeSync)) continue;
      } catch (error) {
        const { code, message } = error as NodeJS.ErrnoException;
        Atomics.store(words, WORD.COMMAND, COMMAND.PARK);
        park();
        tell({ kind: 'failed', code: code ?? 'UNKNOWN', message });
        continue;
      }
    }
    park();
    if (command === COMMAND.QUIT) return;
    if (command === COMMAND.PARK) tell({ kind: 'parked' });
    Atomics.wait(words, WORD.BELL, bell);
  }
}

async function main(): Promise<void> {
  const given = fs && (await import(fs.module));
  run(given === undefined ? nodeWriteSync : given.createWriteSync(fs!.data));
}

void main();
