/**
 * Runs a server and sees to it that it ends with the test: it kills the server as soon as its standard input ends, which
 * the kernel does for a test process however that dies. Arguments: the program and its own. Lines on standard input: names
 * of signals to send on. Ends with the server's exit status, or 1 where a signal ended it.
 */
import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';

const [program, ...args] = process.argv.slice(2);
const server = spawn(program!, args, { stdio: ['ignore', 'inherit', 'inherit'] });
server.on('error', (error) => {
  console.error(String(error));
  process.exit(127);
});
server.on('exit', (status) => process.exit(status ?? 1));

const input = createInterface({ input: process.stdin });
input.on('line', (signal) => server.kill(signal as NodeJS.Signals));
input.on('close', () => server.kill('SIGKILL'));
// A terminal's interrupt reaches the whole group: the test decides what ends.
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => server.kill('SIGKILL'));
