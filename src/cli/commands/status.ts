/** `risktrail status`: how a trail stands: its streams, what is signed, what is shipped, what waits. */
import type { Command } from 'commander';
import type { Backlog, StreamStatus, TrailStatus } from '../../analysis/trail-status.ts';
import { EXIT } from '../exit-codes.ts';
import { createOutput, type Output } from '../output.ts';
import { trailPaths } from '../paths.ts';

interface StatusFlags {
  readonly json?: boolean;
  readonly all?: boolean;
}

const EXAMPLES = `
Looks at the files alone: works beside a running service and after its end.
Exit status: 0 all is well, 2 something to look at, 3 nothing to read.

Examples:
  $ risktrail status ./risktrail-data
  $ risktrail status --json | jq '.streams[] | {stream, backlog}'
`;

/** Closed streams are many after a year; the newest tell enough. */
const SHOWN_CLOSED = 3;

/** Adds the command to the program. @param done told of the exit status */
export function addStatusCommand(program: Command, done: (status: number) => void): void {
  program
    .command('status')
    .description('show how a trail stands: what is signed, shipped, waiting or refused')
    .argument('[dir]', 'data directory (default: RISKTRAIL_DATA_DIR or ./risktrail-data)')
    .option('--all', `every closed stream, not only the newest ${SHOWN_CLOSED}`)
    .option('--json', 'the status as JSON')
    .addHelpText('after', EXAMPLES)
    .action(async (dir: string | undefined, flags: StatusFlags) => done(await status(dir, flags, createOutput())));
}

async function status(dir: string | undefined, flags: StatusFlags, output: Output): Promise<number> {
  const { readTrailStatus } = await import('../../analysis/trail-status.ts');
  const { createSystemClock } = await import('../../core/clock.ts');
  const [dataDir] = trailPaths(dir === undefined ? [] : [dir]);
  const found = readTrailStatus(dataDir!, createSystemClock().now());
  const exit = found.concerns.length === 0 ? EXIT.good : EXIT.incomplete;
  process.exitCode = exit;
  await output.write(
    flags.json ? `${JSON.stringify(found, undefined, 2)}\n` : format(found, flags.all === true, output),
  );
  return exit;
}

function format(found: TrailStatus, all: boolean, output: Output): string {
  const open = found.streams.filter((one) => one.status !== 'closed');
  const closed = found.streams.filter((one) => one.status === 'closed').toReversed();
  const shown = [...open, ...(all ? closed : closed.slice(0, SHOWN_CLOSED))];
  const hidden = found.streams.length - shown.length;
  const lines = [
    `${output.style('bold', found.dataDir)}: ${found.streams.length} streams, ${bytes(found.diskFreeBytes)} free`,
    ...shown.flatMap((one) => ['', ...describe(one, output)]),
    ...(hidden > 0 ? ['', `${hidden} more closed streams (--all)`] : []),
    '',
    ...(found.concerns.length === 0
      ? [output.style('green', 'All is well.')]
      : found.concerns.map((concern) => output.style('yellow', `! ${concern}`))),
  ];
  return `${lines.join('\n')}\n`;
}

function describe(one: StreamStatus, output: Output): string[] {
  const state = one.status === 'open' && one.running === true ? 'running' : one.status;
  const { plain, sealed, bytes: size } = one.segments;
  const rows = [
    ['records', `${one.records.toLocaleString('en')} in ${plain} plain and ${sealed} sealed segments, ${bytes(size)}`],
    [
      'signed',
      one.checkpoint === null
        ? 'no checkpoint yet'
        : `the first ${one.checkpoint.size.toLocaleString('en')}, ${age(one.checkpoint.ageSeconds)} ago`,
    ],
    ['shipped', shippedText(one)],
    ...(one.rejected > 0 ? [['refused', `${one.rejected} records`]] : []),
  ];
  return [
    `${output.style('bold', one.stream)}  ${state}`,
    ...rows.map(([name, text]) => `  ${name!.padEnd(8)} ${text}`),
  ];
}

function shippedText({ shipped, backlog }: StreamStatus): string {
  if (backlog === null) return 'nowhere';
  if (shipped === null) return `nothing yet; ${waitingText(backlog)}`;
  if (backlog.records === 0) return `all, to ${shipped.endpoint}`;
  return `the first ${shipped.sequence.toLocaleString('en')}, to ${shipped.endpoint}; ${waitingText(backlog)}`;
}

function waitingText({ records, bytes: size, seconds }: Backlog): string {
  return `${records.toLocaleString('en')} wait (${bytes(size)}, the oldest for ${age(seconds)})`;
}

function bytes(count: number): string {
  const units = ['bytes', 'kB', 'MB', 'GB', 'TB'];
  let value = count;
  let unit = 0;
  while (value >= 1000 && unit < units.length - 1) {
    value /= 1000;
    unit++;
  }
  return `${unit === 0 ? value : value.toFixed(1)} ${units[unit]}`;
}

function age(seconds: number): string {
  if (seconds < 120) return `${Math.round(seconds)} s`;
  if (seconds < 7200) return `${Math.round(seconds / 60)} min`;
  return seconds < 172_800 ? `${Math.round(seconds / 3600)} h` : `${Math.round(seconds / 86_400)} days`;
}
