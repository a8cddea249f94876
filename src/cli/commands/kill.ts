/** `risktrail kill`: the kill switch of the processes that write to a data directory. */
import type { Command } from 'commander';
import type { KillAnswer } from '../../runtime/kill/kill-requests.ts';
import type { KillReport } from '../../runtime/kill/kill-types.ts';
import { EXIT } from '../exit-codes.ts';
import { parseCount } from '../option-values.ts';
import { createOutput, type Output } from '../output.ts';
import { trailPaths } from '../paths.ts';

interface KillFlags {
  readonly actor: string;
  readonly reason: string;
  readonly flatten?: boolean;
  readonly service?: string;
  readonly wait: number;
  readonly json?: boolean;
}

const EXAMPLES = `
Halts every running service of the data directory, has it cancel the open orders of the exchanges that it knows
(trail.armKillSwitch), and reports what is left. Trading stays halted until a person resumes it. Whoever may write in the data
directory as its owner may do this.

Exit status: 0 halted and nothing is left; 1 something is left; 2 halted, but the outcome is not known, or no exchange is known
to the process; 3 nobody runs or answers: nothing was halted.

Examples:
  $ risktrail kill ./risktrail-data --actor "A. Trader" --reason "wrong prices"
  $ risktrail kill ./risktrail-data --actor "A. Trader" --reason "wrong prices" --flatten --wait 120
`;

/** A process that is well accepts within this time. */
const ACCEPT_MS = 10_000;
/** After the first, others of the same directory have this long. */
const OTHERS_MS = 1500;
const POLL_MS = 100;

/** Adds the command to the program. @param done told of the exit status */
export function addKillCommand(program: Command, done: (status: number) => void): void {
  program
    .command('kill')
    .description('kill switch: halt running services, cancel their open orders, report what is left')
    .argument('[directory]', 'data directory (default: RISKTRAIL_DATA_DIR or ./risktrail-data)')
    .requiredOption('--actor <name>', 'who does it')
    .requiredOption('--reason <text>', 'why')
    .option('--flatten', 'close positions, too')
    .option('--service <name>', 'that service alone (default: every one of the directory)')
    .option('--wait <seconds>', 'how long to wait for the outcome', parseCount(1), 60)
    .option('--json', 'the answers as JSON')
    .addHelpText('after', EXAMPLES)
    .action(async (directory: string | undefined, flags: KillFlags) =>
      done(await kill(trailPaths(directory === undefined ? [] : [directory])[0]!, flags, createOutput())),
    );
}

async function kill(dataDir: string, flags: KillFlags, output: Output): Promise<number> {
  const { createSystemClock } = await import('../../core/clock.ts');
  const { createUuidV7 } = await import('../../core/uuid.ts');
  const { RiskTrailError } = await import('../../core/errors.ts');
  const { readTrailStatus } = await import('../../analysis/trail-status.ts');
  const requests = await import('../../runtime/kill/kill-requests.ts');
  for (const [name, value] of [
    ['--actor', flags.actor],
    ['--reason', flags.reason],
  ] as const) {
    if (value.trim() === '') {
      throw new RiskTrailError('OPTION_INVALID', { field: name, expected: 'a text that is not empty', received: '""' });
    }
  }
  const clock = createSystemClock();
  const { streams } = readTrailStatus(dataDir, clock.now());
  const mayRun = streams.filter(
    ({ stream, status, running }) =>
      status !== 'closed' &&
      running !== false &&
      (flags.service === undefined || stream.slice(0, stream.lastIndexOf('/')) === flags.service),
  );
  if (mayRun.length === 0) {
    throw new RiskTrailError('KILL_NOT_ANSWERED', { path: dataDir, reason: ': nobody runs there' });
  }
  const createdMs = clock.now();
  const id = createUuidV7()(createdMs);
  const { actor, reason, service } = flags;
  requests.writeKillRequest(dataDir, {
    ...{ id, createdMs, actor, reason, flatten: flags.flatten === true },
    ...(service === undefined ? {} : { service }),
  });
  const take = () => requests.readKillAnswers(dataDir, id);
  const pause = () => new Promise((resolve) => setTimeout(resolve, POLL_MS));
  const beganMs = clock.monotonic();
  const passedMs = () => clock.monotonic() - beganMs;
  let acceptedMs: number | undefined;
  let answers: readonly KillAnswer[] = [];
  while (passedMs() < flags.wait * 1000) {
    await pause();
    answers = take();
    if (answers.length === 0) {
      if (passedMs() > ACCEPT_MS) break;
      continue;
    }
    acceptedMs ??= passedMs();
    const isAll = answers.length >= mayRun.length || passedMs() - acceptedMs > OTHERS_MS;
    if (isAll && answers.every(({ state }) => state === 'done')) break;
  }
  if (answers.length === 0) {
    requests.removeKillRequest(dataDir, id);
    // One may have taken it at the last moment.
    const seconds = Math.round(passedMs() / 1000);
    throw new RiskTrailError('KILL_NOT_ANSWERED', {
      path: dataDir,
      reason: ` within ${seconds} s; the request was taken back`,
    });
  }
  const isDone = answers.every(({ state }) => state === 'done');
  // A process that is still at it, or goes on after it was killed, needs the request.
  if (isDone) requests.removeKillRequest(dataDir, id);
  if (flags.json) await output.write(`${JSON.stringify({ id, answers })}\n`);
  else for (const answer of answers) await tell(answer, output);
  if (!isDone) output.note(`still at work after ${flags.wait} s: risktrail events ${dataDir} --event risk.kill_switch`);
  return statusOf(answers);
}

function statusOf(answers: readonly KillAnswer[]): number {
  const reports = answers.flatMap((one) => one.reports);
  if (reports.some(({ left }) => left.orders.length > 0 || Object.keys(left.positions).length > 0)) return EXIT.finding;
  const isKnown = answers.every(({ state, venues }) => state === 'done' && venues.length > 0);
  return isKnown && reports.every(({ complete }) => complete) ? EXIT.good : EXIT.incomplete;
}

async function tell({ stream, state, venues, reports }: KillAnswer, output: Output): Promise<void> {
  await output.write(`${stream}: trading is halted\n`);
  if (venues.length === 0) {
    await output.write('  no exchange is known to the process: no order was cancelled\n');
    return;
  }
  if (state !== 'done') await output.write(`  ${venues.join(', ')}: no outcome yet\n`);
  for (const report of reports) await output.write(`  ${lineOf(report)}\n`);
}

function lineOf({ venue, complete, orders, positions, left, failures }: KillReport): string {
  const count = (what: readonly { readonly outcome: string }[]) =>
    what.filter(({ outcome }) => outcome === 'succeeded').length;
  const done = `${count(orders)} of ${orders.length} orders, ${count(positions)} of ${positions.length} positions`;
  const held = Object.entries(left.positions).map(([symbol, quantity]) => `${quantity} ${symbol}`);
  const rest = [...left.orders, ...held];
  const why = failures.map(({ operation, message }) => `${operation}: ${message}`);
  const end = complete
    ? 'nothing is left'
    : rest.length > 0
      ? `left: ${rest.join(', ')}`
      : 'the venue has not said that nothing is left';
  return [`${venue ?? 'exchange'}: ${done}; ${end}`, ...why].join('; ');
}
