/** `risktrail events`: the records of a trail that match, as a table or as JSON lines. */
import type { Command } from 'commander';
import type { FlatRecord } from '../../analysis/flat-record.ts';
import { EXIT } from '../exit-codes.ts';
import { addFilterOptions, type FilterFlags } from '../filter-options.ts';
import { parseCount } from '../option-values.ts';
import { createOutput, type Output } from '../output.ts';
import { trailPaths } from '../paths.ts';
import { createPrinter, type Printer } from '../record-printer.ts';

interface EventsFlags extends FilterFlags {
  readonly since?: string;
  readonly until?: string;
  readonly limit?: number;
  readonly reverse?: boolean;
  readonly json?: boolean;
}

/** `--reverse` turns at most this many around in memory. */
const MAX_REVERSED = 100_000;

const EXAMPLES = `
Times are UTC unless they have a zone; a bare date after --until counts to its end.
The shape of --json is one object a line, the same for every event: risktrail schema event.

Examples:
  $ risktrail events ./risktrail-data --category risk --since 24h
  $ risktrail events --event 'risk.trailing_stop.*' --symbol AAPL
  $ risktrail events --severity ERROR --since 2020-03-09 --until 2020-03-16
  $ risktrail events --where risk.decision=deny --where 'risk.limit.utilization>1.2'
  $ risktrail events --event performance.latency --min-duration 200 --reverse --limit 20
  $ risktrail events --json | jq 'select(."trading.symbol" == "AAPL") | .body'
`;

/** Adds the command to the program. @param done told of the exit status */
export function addEventsCommand(program: Command, done: (status: number) => void): void {
  const command = program
    .command('events')
    .description('show the records of a trail that match')
    .argument('[paths...]', 'data directory or files (default: RISKTRAIL_DATA_DIR or ./risktrail-data)');
  addFilterOptions(command)
    .option('--since <time>', 'from this time on: 2020-03-16, 2020-03-16T14:30:00Z, or back from now: 15m, 24h, 7d')
    .option('--until <time>', 'up to and including this time')
    .option('-n, --limit <count>', 'at most this many', parseCount(1))
    .option('-r, --reverse', 'newest first')
    .option('--json', 'JSON lines in the flat shape')
    .addHelpText('after', EXAMPLES)
    .action(async (paths: readonly string[], flags: EventsFlags) =>
      done(await showEvents(paths, flags, createOutput())),
    );
}

async function showEvents(paths: readonly string[], flags: EventsFlags, output: Output): Promise<number> {
  const { parseFilter, textsOf } = await import('../../analysis/filter.ts');
  const { queryTrail } = await import('../../analysis/trail-query.ts');
  const { createSystemClock } = await import('../../core/clock.ts');
  const filter = parseFilter(flags, createSystemClock());
  let torn = 0;
  const batches = queryTrail(trailPaths(paths), {
    filter,
    texts: textsOf(flags),
    onTorn({ kind }) {
      // A last line without its newline is being written.
      if (kind !== 'tail') torn++;
    },
  });
  const print = await createPrinter(flags.json === true, output);
  const shown = flags.reverse
    ? await printReversed(batches, flags.limit, print)
    : await printAll(batches, flags.limit, print);
  if (shown === undefined) {
    output.note(`risktrail: more than ${MAX_REVERSED} records match: --reverse needs a narrower filter or --limit`);
    return EXIT.usage;
  }
  if (torn > 0) {
    output.note(`risktrail: ${torn} ${torn === 1 ? 'line' : 'lines'} could not be read: see risktrail verify`);
    return EXIT.incomplete;
  }
  if (shown === 0 && flags.json !== true) output.note(await noMatch(flags));
  return EXIT.good;
}

type Batches = AsyncIterable<readonly FlatRecord[]>;

async function printAll(batches: Batches, limit = Number.POSITIVE_INFINITY, print: Printer): Promise<number> {
  let shown = 0;
  for await (const batch of batches) {
    const records = batch.length > limit - shown ? batch.slice(0, limit - shown) : batch;
    await print(records);
    shown += records.length;
    if (shown >= limit) break;
  }
  return shown;
}

/** @returns undefined where there is no limit and too much to turn around; nothing was printed then */
async function printReversed(batches: Batches, limit: number | undefined, print: Printer): Promise<number | undefined> {
  let newest: FlatRecord[] = [];
  for await (const batch of batches) {
    newest.push(...batch);
    if (limit !== undefined) {
      if (newest.length > limit) newest = newest.slice(-limit);
    } else if (newest.length > MAX_REVERSED) return undefined;
  }
  await print(newest.toReversed());
  return newest.length;
}

/** Nothing is an answer; a misspelt name deserves a hint. */
async function noMatch(flags: EventsFlags): Promise<string> {
  const { EVENTS } = await import('../../catalog/events.ts');
  const { conditionKey, namePattern } = await import('../../analysis/filter.ts');
  const { isKnownKey, KNOWN_KEYS } = await import('../../analysis/flat-record.ts');
  const { nearest } = await import('../../core/options.ts');
  const names = Object.keys(EVENTS);
  const event = (flags.event ?? []).find((pattern) => !names.some(namePattern(pattern)));
  if (event !== undefined) return `no record matches; the catalogue has no event ${event}${nearest(event, names)}`;
  const key = (flags.where ?? []).map(conditionKey).find((one) => !isKnownKey(one));
  if (key !== undefined) return `no record matches; the catalogue has no attribute ${key}${nearest(key, KNOWN_KEYS)}`;
  return 'no record matches';
}
