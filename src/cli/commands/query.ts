/** `risktrail query`: SQL over a trail. */
import { readFile } from 'node:fs/promises';
import type { Command } from 'commander';
import type { OpenTrailOptions } from '../../analysis/index.ts';
import { RiskTrailError } from '../../core/errors.ts';
import { EXIT } from '../exit-codes.ts';
import { parseCount } from '../option-values.ts';
import type { Output } from '../output.ts';
import { NO_PAGER_OPTION, type PagerFlags, withPager } from '../pager.ts';
import { trailPaths } from '../paths.ts';
import { withProgress } from '../progress.ts';

interface QueryFlags extends PagerFlags {
  readonly file?: string;
  readonly timeout: number;
  readonly memory: number;
}

const EXAMPLES = `
The views: events, risk_events, alerts, orders, trades, stops, breakers, limits, limit_results, operations. Times are UTC.
Only SELECT, WITH, DESCRIBE, SUMMARIZE and EXPLAIN are run; nothing but the trail can be read, and nothing written.

Examples:
  $ risktrail query "SELECT event, count(*) FROM events GROUP BY event ORDER BY 2 DESC"
  $ risktrail query "SELECT timestamp, old_state, new_state FROM risk_events WHERE event_type = 'circuit_breaker_state_change'" ./risktrail-data
  $ risktrail query --file daily.sql --csv > daily.csv
  $ risktrail query "DESCRIBE trades"
`;

/** Adds the command to the program. @param done told of the exit status */
export function addQueryCommand(program: Command, done: (status: number) => void): void {
  program
    .command('query')
    .description('ask a trail in SQL')
    .argument(
      '[arguments...]',
      'the SQL (unless --file gives it), then data directory or files (default: RISKTRAIL_DATA_DIR or ./risktrail-data)',
    )
    .option('-f, --file <path>', 'file that holds the SQL')
    .option('--json', 'JSON lines, one object a row')
    .option('--csv', 'CSV with a heading')
    .option('--timeout <seconds>', 'longest time', parseCount(1), 120)
    .option('--memory <MiB>', 'memory that DuckDB may take', parseCount(64), 512)
    .option(...NO_PAGER_OPTION)
    .addHelpText('after', EXAMPLES)
    .action(async (given: readonly string[], flags: QueryFlags) =>
      done(await withPager(flags, (output) => query(given, flags, output))),
    );
}

async function query(given: readonly string[], flags: QueryFlags, output: Output): Promise<number> {
  const { openTrail } = await import('../../analysis/index.ts');
  const { createSystemClock } = await import('../../core/clock.ts');
  const sql = flags.file === undefined ? given[0] : await readSql(flags.file);
  if (sql === undefined || sql.trim() === '') {
    output.note('risktrail: query: the SQL is missing: give it as the first argument, or with --file');
    return EXIT.usage;
  }
  const paths = trailPaths(flags.file === undefined ? given.slice(1) : given);
  const bounds = { timeoutMs: flags.timeout * 1000, memoryBytes: flags.memory * 2 ** 20 };
  const ask = async (onProgress: OpenTrailOptions['onProgress']) => {
    await using trail = openTrail(paths, { ...bounds, onProgress });
    return await trail.sql(sql);
  };
  const { columns, rows } = await withProgress(`reading ${paths.join(' ')}`, createSystemClock().monotonic, ask);
  if (flags.json) {
    for (const row of rows)
      await output.write(`${JSON.stringify(Object.fromEntries(columns.map((name, at) => [name, row[at]])))}\n`);
  } else if (flags.csv) {
    const { csvRow } = await import('../../analysis/export.ts');
    await output.write(csvRow(columns));
    for (const row of rows) await output.write(csvRow(row));
  } else {
    const { textTable } = await import('../../analysis/text-table.ts');
    await output.write(textTable(columns, rows));
    if (rows.length === 0) output.note('no rows');
  }
  return EXIT.good;
}

async function readSql(path: string): Promise<string> {
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT') throw new RiskTrailError('PATH_NOT_FOUND', { path }, error);
    throw new RiskTrailError('FILE_UNREADABLE', { path, reason: message }, error);
  }
}
