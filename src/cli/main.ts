#!/usr/bin/env node
/** Entry of the command `risktrail`. */
import { EXIT } from './exit-codes.ts';
import { runCli } from './program.ts';

// Whoever reads our output may stop reading, as `head` does: that is no error.
for (const stream of [process.stdout, process.stderr]) {
  stream.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code !== 'EPIPE') throw error;
    process.exit(process.exitCode ?? EXIT.good);
  });
}
// Nothing that a command writes needs finishing: a journal is whole after every record.
process.once('SIGINT', () => process.exit(EXIT.interrupted));

runCli(process.argv.slice(2)).then((status) => {
  process.exitCode = status;
});
