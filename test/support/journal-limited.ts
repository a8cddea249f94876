/**
 * A process whose files may not grow past a limit (`ulimit -f`): it emits past it, so that writing fails in the middle of a
 * record, and prints what the journal says. Argument: data directory.
 */
import { openTestJournal, testEvent } from './journal.ts';

const errors: string[] = [];
const journal = openTestJournal(process.argv[2]!, {
  onError: (error, what) => void errors.push(`${what}: ${(error as NodeJS.ErrnoException).code}`),
});
let lost = 0;
for (let i = 0; i < 200; i++) if (journal.append(testEvent(i)).state === 'lost') lost++;
await journal.close('done');
console.log(JSON.stringify({ lost, errors, stats: journal.stats() }));
