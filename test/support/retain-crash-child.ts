/**
 * A process that rotates, checkpoints, seals and prunes, and dies right before its N-th operation on files. Arguments: data
 * directory, N (0: never; then it says how many there were). It reports each record that was taken, as
 * `<stream> <sequence> <record id>`, and the moment from which on records may be removed, as `pruning`.
 *
 * Only what changes the file system counts: between two such operations nothing happens that a dead process could leave.
 */
import fs from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';

const [dataDir, deadline] = process.argv.slice(2) as [string, string];
const realWrite = fs.writeSync;
let operations = 0;
let counting = false;

function operation(): void {
  if (counting && ++operations === Number(deadline)) process.kill(process.pid, 'SIGKILL');
}

const SYNC = ['openSync', 'writeSync', 'writeFileSync', 'renameSync', 'rmSync', 'truncateSync', 'ftruncateSync'];
const PROMISED = ['open', 'rename', 'rm', 'rmdir'];
/** What streams call. */
const CALLED_BACK = ['open', 'write', 'writev'];

function counted(target: Record<string, (...args: unknown[]) => unknown>, names: readonly string[]): void {
  for (const name of names) {
    const real = target[name]!;
    target[name] = (...args) => {
      // Opening changes something only where it creates.
      const harmless = name.startsWith('open') && (args[1] === undefined || args[1] === 'r');
      if (!harmless && args[0] !== 1) operation();
      const result = real.apply(target, args);
      return result instanceof Promise && name === 'open' ? result.then(countedHandle) : result;
    };
  }
}

/** Content is written through the handle. */
function countedHandle(handle: object): object {
  counted(handle as never, ['writeFile', 'write', 'truncate']);
  return handle;
}

counted(fs as never, [...SYNC, ...CALLED_BACK]);
counted(fs.promises as never, PROMISED);
syncBuiltinESMExports();

const { openTestJournal, testEvent } = await import('./journal.ts');
const { retainParts } = await import('./retain-parts.ts');
const { createManualClock } = await import('../../src/core/clock.ts');
type Journal = import('../../src/audit/journal/journal.ts').Journal;

const say = (text: string) => realWrite(1, `${text}\n`);
const clock = createManualClock(Date.UTC(2026, 0, 1));

function trade(journal: Journal, count: number): void {
  for (let i = 0; i < count; i++) {
    const { recordId, sequence } = journal.append(testEvent(i, { timeUnixNano: `${clock.now()}000000` }));
    say(`${journal.stream} ${sequence} ${recordId}`);
  }
}

const open = () => openTestJournal(dataDir, { segmentMaxBytes: 4_000, checkpointIntervalMs: 3_600_000, clock });

// A closed stream that will go whole, and one that goes on.
const first = open();
trade(first, 6);
await first.close('shutdown');
clock.advance(86_400_000);
const journal = open();
trade(journal, 8);
await journal.checkpoint();
clock.advance(86_400_000);

counting = true;
const { seal, sealer, retention } = retainParts(dataDir, journal, { policy: { maxSegments: 2 } }, undefined, clock);
trade(journal, 5);
await seal();
await sealer.sealEnded();
say('pruning');
await retention.run();
trade(journal, 2);
await journal.checkpoint();
await journal.close('shutdown');
say(`operations ${operations}`);
