/** `risktrail state`: breakers, stops, limits, trading state and open orders as they were at a moment. */

import type { Command } from 'commander';
import type { StateChange } from '../../analysis/state-diff.ts';
import type { StateLayer, StateView } from '../../analysis/state-view.ts';
import type { PlainValue } from '../../audit/record/otlp.ts';
import { printable } from '../../core/printable.ts';
import { EXIT } from '../exit-codes.ts';
import { gather } from '../option-values.ts';
import { createOutput, type Output } from '../output.ts';
import { trailPaths } from '../paths.ts';
import { withProgress } from '../progress.ts';

interface StateFlags {
  readonly at?: string;
  readonly layer?: readonly string[];
  readonly diff?: readonly string[];
  readonly json?: boolean;
  readonly csv?: boolean;
}

const EXAMPLES = `
The state is folded from the records up to and at the moment, and from no others. Times are UTC unless they have a zone.
Each process of a service that began on its own has a state of its own.

Examples:
  $ risktrail state ./risktrail-data
  $ risktrail state --at 2020-03-16T14:30:00Z --layer circuit_breaker
  $ risktrail state --at 2h --json | jq '.[].trading_state.global'
  $ risktrail state ./risktrail-data --diff 2020-03-12T13:00:00Z 2020-03-12T14:00:00Z
`;

/** Adds the command to the program. @param done told of the exit status */
export function addStateCommand(program: Command, done: (status: number) => void): void {
  program
    .command('state')
    .description('show the state of every risk layer, now or at any moment')
    .argument('[paths...]', 'data directory or files (default: RISKTRAIL_DATA_DIR or ./risktrail-data)')
    .option('--at <time>', 'the moment: 2020-03-16, 2020-03-16T14:30:00Z, or back from now: 15m, 24h, 7d')
    .option(
      '--layer <layer>',
      'only trading_state, circuit_breaker, trailing_stop, portfolio_limits or orders; may be repeated',
      gather,
    )
    .option('--diff <times...>', 'two moments: what is different at the second')
    .option('--json', 'the states as JSON')
    .option('--csv', 'with --diff: what is different as CSV')
    .addHelpText('after', EXAMPLES)
    .action(async (paths: readonly string[], flags: StateFlags) => done(await showState(paths, flags, createOutput())));
}

async function showState(paths: readonly string[], flags: StateFlags, output: Output): Promise<number> {
  const { stateAt } = await import('../../analysis/state-at.ts');
  const { STATE_LAYERS, stateView } = await import('../../analysis/state-view.ts');
  const { parseBound } = await import('../../analysis/time-bound.ts');
  const { createSystemClock } = await import('../../core/clock.ts');
  const { describeValue, RiskTrailError } = await import('../../core/errors.ts');
  const clock = createSystemClock();
  for (const layer of flags.layer ?? []) {
    if (STATE_LAYERS.includes(layer as StateLayer)) continue;
    const expected = `one of ${STATE_LAYERS.join(', ')}`;
    throw new RiskTrailError('OPTION_INVALID', { field: '--layer', expected, received: describeValue(layer) });
  }
  if (flags.diff !== undefined && (flags.at !== undefined || flags.diff.length < 2)) {
    const expected = 'two moments, without --at: --diff 2020-03-12T13:00:00Z 2020-03-12T14:00:00Z';
    const received = flags.at === undefined ? describeValue(flags.diff.join(' ')) : '--at too';
    throw new RiskTrailError('OPTION_INVALID', { field: '--diff', expected, received });
  }
  if (flags.csv && flags.diff === undefined) {
    const expected = '--diff: a state has no rows; --json has it';
    throw new RiskTrailError('OPTION_INVALID', { field: '--csv', expected, received: 'a state' });
  }
  // Paths that stand behind the two moments are taken for moments by the parser.
  const [from, to, ...further] = flags.diff ?? [];
  const trail = trailPaths([...paths, ...further]);
  const viewsAt = async (time: string | undefined, field: string) => {
    const at = time === undefined ? undefined : parseBound(field, time, 'to', clock);
    const states = await withProgress(`reading ${trail.join(' ')}`, clock.monotonic, (onProgress) =>
      stateAt(trail, at, onProgress),
    );
    return states.map((one) => stateView(one, flags.layer as readonly StateLayer[] | undefined));
  };
  if (from !== undefined) {
    const { stateDifferences } = await import('../../analysis/state-diff.ts');
    const changes = stateDifferences(await viewsAt(from, '--diff'), await viewsAt(to, '--diff'));
    if (flags.json) await output.write(`${JSON.stringify(changes, undefined, 2)}\n`);
    else await output.write(flags.csv ? await diffCsv(changes) : await diffText(changes));
    return EXIT.good;
  }
  const views = await viewsAt(flags.at, '--at');
  if (flags.json) await output.write(`${JSON.stringify(views, undefined, 2)}\n`);
  else if (views.length === 0) output.note('there was no trail yet at that time');
  else await output.write(views.map(textOf).join('\n'));
  return EXIT.good;
}

const DIFF_COLUMNS = ['service', 'layer', 'of', 'member', 'before', 'after'];
const diffRow = (one: StateChange) => [one.service, one.layer, one.name, one.member, one.before, one.after];

async function diffText(changes: readonly StateChange[]): Promise<string> {
  if (changes.length === 0) return 'nothing is different\n';
  const { textTable } = await import('../../analysis/text-table.ts');
  return textTable(DIFF_COLUMNS, changes.map(diffRow));
}

async function diffCsv(changes: readonly StateChange[]): Promise<string> {
  const { csvRow } = await import('../../analysis/export.ts');
  return [DIFF_COLUMNS, ...changes.map(diffRow)].map((row) => csvRow(row as readonly PlainValue[])).join('');
}

// biome-ignore lint/suspicious/noExplicitAny: rows of the view, printed by their names
type Row = any;

/** A view for people. */
function textOf(view: StateView): string {
  const lines = [`${printable(view.stream)}, last record ${view.last_time ?? 'none'}`];
  const { trading_state: trading } = view;
  if (trading !== undefined) {
    lines.push(`Trading: ${trading.global}`);
    for (const one of trading.demands) {
      const until = one.untilMs === undefined ? '' : `, until ${new Date(one.untilMs).toISOString()}`;
      lines.push(`  ${one.state} for ${one.scope}, demanded by ${one.source} (${one.actor}): ${one.reason}${until}`);
    }
  }
  add(lines, 'Circuit breakers', view.circuit_breakers, (one) => [
    `${one.name}: ${one.status}`,
    `since ${one.since}`,
    one.open_until === null ? (one.latched ? 'latched' : '') : `until ${one.open_until}`,
    one.triggers.length === 0 ? '' : `by ${one.triggers.join(', ')}`,
    one.failure_threshold === null ? '' : `${one.failures} of ${one.failure_threshold} failures`,
    one.day === null ? '' : `day's result ${one.day_pnl}`,
  ]);
  add(lines, 'Trailing stops', view.trailing_stops, (one) => [
    `${one.id}: ${one.side} ${one.symbol}${one.quantity === undefined ? '' : ` ${one.quantity}`}, ${one.status}`,
    `entry ${one.entryPrice}`,
    `peak ${one.peakPrice}`,
    one.stopPrice === undefined ? `activates at ${one.activationPrice}` : `level ${one.stopPrice}`,
    one.hardStopPrice === undefined ? '' : `hard stop ${one.hardStopPrice}`,
    one.trigger === undefined ? '' : `fired at ${one.trigger.price}, gap ${one.trigger.gap}`,
  ]);
  add(lines, 'Limits', view.portfolio_limits, (one) => [
    `${one.set}: day's result ${one.day_pnl} until ${one.day_ends}`,
    one.daily_loss_max === null
      ? ''
      : `loss ${one.daily_loss} of ${one.daily_loss_max}, headroom ${one.daily_loss_headroom}${one.daily_loss_breached ? ', BREACHED' : ''}`,
    one.equity_peak === null
      ? ''
      : `equity peak ${one.equity_peak}${one.drawdown_max === null ? '' : `, drawdown at most ${one.drawdown_max}`}${one.drawdown_breached ? ', drawdown BREACHED' : ''}`,
    ...one.limits
      .filter((limit: Row) => limit.headroom !== null && limit.limit !== 'daily_loss')
      .map((limit: Row) => `${limit.limit} ${limit.used} of ${limit.max}, headroom ${limit.headroom}`),
    one.pending_orders.length === 0 ? '' : `${one.pending_orders.length} orders pending`,
  ]);
  add(lines, 'Open orders', view.open_orders, (one) => [
    `${one.orderId ?? one.clientOrderId ?? one.firstRecordId}: ${one.status}`,
    `${one.side ?? ''} ${one.quantity ?? ''} ${one.symbol ?? ''}`.trim(),
    one.filled === 0 ? '' : `${one.filled} filled`,
    `since ${one.since}`,
  ]);
  return `${lines.join('\n')}\n`;
}

function add(
  lines: string[],
  title: string,
  rows: readonly object[] | undefined,
  show: (row: Row) => readonly string[],
): void {
  if (rows === undefined || rows.length === 0) return;
  lines.push(`${title}:`);
  for (const row of rows)
    lines.push(
      `  ${printable(
        show(row)
          .filter((part) => part !== '')
          .join(', '),
      )}`,
    );
}
