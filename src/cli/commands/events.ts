/** `risktrail events`: the records of a trail that match, as a table or as JSON lines. */
import type { Command } from 'commander';
import type { FlatRecord } from '../../analysis/flat-record.ts';
import type { QueryOptions } from '../../analysis/trail-query.ts';
import { RiskTrailError } from '../../core/errors.ts';
import { EXIT } from '../exit-codes.ts';
import { addFilterOptions, type FilterFlags } from '../filter-options.ts';
import { parseCount } from '../option-values.ts';
import { isPrintedTo, type Output } from '../output.ts';
import { NO_PAGER_OPTION, type PagerFlags, withPager } from '../pager.ts';
import { trailPaths } from '../paths.ts';
import { withProgress } from '../progress.ts';
import { createPrinter } from '../record-printer.ts';

interface EventsFlags extends FilterFlags, PagerFlags {
  readonly since?: string;
  readonly until?: string;
  readonly limit?: number;
  readonly reverse?: boolean;
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
    .option('--csv', 'CSV with a heading: a column for each attribute that is there')
    .option(...NO_PAGER_OPTION)
    .addHelpText('after', EXAMPLES)
    .action(async (paths: readonly string[], flags: EventsFlags) =>
      done(await withPager(flags, (output) => showEvents(paths, flags, output))),
    );
}

async function showEvents(paths: readonly string[], flags: EventsFlags, output: Output): Promise<number> {
  const { parseFilter, textsOf } = await import('../../analysis/filter.ts');
  const { queryTrail } = await import('../../analysis/trail-query.ts');
  const { createSystemClock } = await import('../../core/clock.ts');
  const filter = parseFilter(flags, createSystemClock());
  let torn = 0;
  const trail = trailPaths(paths);
  const toTerminal = isPrintedTo('terminal');
  const show = async (onProgress: QueryOptions['onProgress'], hide: () => void) => {
    const read = () =>
      chosen(
        queryTrail(trail, {
          filter,
          texts: textsOf(flags),
          onProgress,
          onTorn({ kind }) {
            // A last line without its newline is being written.
            if (kind !== 'tail') torn++;
          },
        }),
        flags,
      );
    if (flags.csv) {
      const { writeCsv } = await import('../../analysis/export.ts');
      return writeCsv(read, async (text) => {
        if (toTerminal) hide();
        await output.write(text);
      });
    }
    const print = await createPrinter(flags.json === true, output);
    let shown = 0;
    for await (const records of read()) {
      if (toTerminal) hide();
      await print(records);
      shown += records.length;
      if (output.closed) break;
    }
    return shown;
  };
  // Where another program has the text, it may have the terminal, too.
  const isWatched = toTerminal || isPrintedTo('file');
  const what = `reading ${trail.join(' ')}`;
  const shown = isWatched
    ? await withProgress(what, createSystemClock().monotonic, show)
    : await show(undefined, () => {});
  if (torn > 0) {
    output.note(`risktrail: ${torn} ${torn === 1 ? 'line' : 'lines'} could not be read: see risktrail verify`);
    return EXIT.incomplete;
  }
  if (shown === 0 && flags.json !== true && flags.csv !== true) output.note(await noMatch(flags));
  return EXIT.good;
}

/**
 * As many of the records as are wanted, in their order or turned around.
 * @throws RiskTrailError OPTION_INVALID where there is no limit and too much to turn around
 */
async function* chosen(
  batches: AsyncIterable<readonly FlatRecord[]>,
  { limit, reverse }: EventsFlags,
): AsyncGenerator<readonly FlatRecord[], void, undefined> {
  if (!reverse) {
    let left = limit ?? Number.POSITIVE_INFINITY;
    for await (const batch of batches) {
      yield batch.length > left ? batch.slice(0, left) : batch;
      left -= batch.length;
      if (left <= 0) return;
    }
    return;
  }
  let newest: FlatRecord[] = [];
  for await (const batch of batches) {
    newest.push(...batch);
    if (limit !== undefined) {
      if (newest.length > limit) newest = newest.slice(-limit);
    } else if (newest.length > MAX_REVERSED) {
      throw new RiskTrailError('OPTION_INVALID', {
        field: '--reverse',
        expected: 'a narrower filter or --limit',
        received: `more than ${MAX_REVERSED} records`,
      });
    }
  }
  yield newest.toReversed();
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
