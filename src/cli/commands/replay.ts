/** `risktrail replay`: the recorded inputs through the risk layers with other parameters, or with the same ones as a check. */

import type { Command } from 'commander';
import type { ReplayCheck } from '../../analysis/replay/check.ts';
import type { ReplayFigures } from '../../analysis/replay/compare.ts';
import type { ReplayResult, SweepResult } from '../../analysis/replay/replay.ts';
import { printable } from '../../core/printable.ts';
import { EXIT } from '../exit-codes.ts';
import { gather, parseCount } from '../option-values.ts';
import { createOutput, type Output } from '../output.ts';
import { trailPaths } from '../paths.ts';
import { type Progress, withProgress } from '../progress.ts';

interface ReplayFlags {
  readonly set?: readonly string[];
  readonly sweep?: readonly string[];
  readonly check?: boolean;
  readonly from?: string;
  readonly to?: string;
  readonly html?: string;
  readonly limit: number;
  readonly json?: boolean;
  readonly csv?: boolean;
}

const EXAMPLES = `
Parameters are breaker.<name>.<option>, stops.<option> and limits.<limit>.<option>; of a named set, stops.<set>.<option> and
limits.<set>.<option>. The value none takes one away. Stops: a value takes the place of each stop's own.
Answers under other parameters are exact where the trail was recorded with recordInputs all, else bounds.
Exit status: 0; with --check 1 where a decision came out otherwise than recorded.

Examples:
  $ risktrail replay ./risktrail-data --check
  $ risktrail replay --set breaker.broker.failureThreshold=3 --set stops.trailingPct=1
  $ risktrail replay --from 2020-02-01 --to 2020-04-30 --set limits.dailyLoss.max=10000 --json | jq .replayed
  $ risktrail replay --sweep 'stops.activationPct=1..4/0.5' --sweep 'stops.trailingPct=1..5/0.5' --html sweep.html
`;

/** Adds the command to the program. @param done told of the exit status */
export function addReplayCommand(program: Command, done: (status: number) => void): void {
  program
    .command('replay')
    .description('run the recorded inputs through the risk layers with other parameters, or check every decision')
    .argument('[paths...]', 'data directory or files (default: RISKTRAIL_DATA_DIR or ./risktrail-data)')
    .option('--set <parameter=value>', 'a parameter that is other than recorded; may be repeated', gather)
    .option('--sweep <parameter=values>', 'values 1..4/0.5 (from, to, step) or 1,2,5; once or twice', gather)
    .option('--check', 'with the parameters as recorded: every decision must come out the same')
    .option('--from <time>', 'from this time on, with the state of then: 2020-03-16, 2020-03-16T14:30:00Z, 24h, 7d')
    .option('--to <time>', 'up to and including this time')
    .option('--html <file>', "write the sweep's heat maps as one HTML page")
    .option('--limit <count>', 'rows of decisions that come out otherwise', parseCount(0), 40)
    .option('--json', 'the whole answer as JSON')
    .option('--csv', 'the rows as CSV')
    .addHelpText('after', EXAMPLES)
    .action(async (paths: readonly string[], flags: ReplayFlags) => done(await run(paths, flags, createOutput())));
}

async function run(paths: readonly string[], flags: ReplayFlags, output: Output): Promise<number> {
  const { RiskTrailError } = await import('../../core/errors.ts');
  const asked = [flags.check && '--check', flags.sweep && '--sweep', flags.set && !flags.sweep && '--set'];
  const given = asked.filter((one) => typeof one === 'string');
  if (given.length !== 1) {
    throw new RiskTrailError('OPTION_INVALID', {
      field: 'replay',
      expected: '--check, --set parameter=value, or --sweep parameter=values',
      received: given.length === 0 ? 'none of them' : given.join(' and '),
    });
  }
  if (flags.html !== undefined && flags.sweep === undefined) {
    throw new RiskTrailError('OPTION_INVALID', {
      field: '--html',
      expected: '--sweep, whose heat maps it holds',
      received: given[0]!,
    });
  }
  const trail = trailPaths(paths);
  if (flags.check) return check(trail, flags, output);
  if (flags.sweep) return sweep(trail, flags, output);
  return other(trail, flags, output);
}

async function check(trail: readonly string[], flags: ReplayFlags, output: Output): Promise<number> {
  const { checkReplay } = await import('../../analysis/replay/replay.ts');
  const { from, to } = flags;
  const answer = await shown(`replaying ${trail.join(' ')}`, (onRead) => checkReplay(trail, { from, to, onRead }));
  if (flags.json) await output.write(`${JSON.stringify(answer, undefined, 2)}\n`);
  else if (flags.csv) await output.write(await differencesCsv(answer));
  else await output.write(checkText(answer, output));
  return answer.ok ? EXIT.good : EXIT.finding;
}

const json = (value: unknown): string => JSON.stringify(value) ?? 'nothing';
function checkText(answer: ReplayCheck, output: Output): string {
  const { ok, decisions, inputs, layers, taken_over: takenOver, differences } = answer;
  const lines = [
    `${inputs.toLocaleString('en')} inputs replayed, ${decisions.toLocaleString('en')} decisions compared: ` +
      (ok ? output.style('green', 'zero differences') : output.style('red', `${differences.length} layers differ`)),
  ];
  for (const [layer, count] of Object.entries(layers))
    lines.push(`  ${String(count).padStart(8)}  ${printable(layer)}`);
  if (takenOver > 0)
    lines.push(`${takenOver} decisions were taken over: the trail does not hold what they were made from`);
  for (const [at, one] of differences.entries()) {
    lines.push(
      at === 0 ? 'First difference:' : 'First of another layer:',
      `  record ${one.record_id} (${one.sequence} of ${printable(one.stream)}), ${one.time}, ${printable(one.layer)}`,
      `  ${printable(one.event)}${one.attribute === '' ? '' : ` ${printable(one.attribute)}`}`,
      `    expected ${printable(json(one.expected))}`,
      `    got      ${printable(json(one.got))}`,
    );
  }
  return `${lines.join('\n')}\n`;
}

async function differencesCsv({ differences }: ReplayCheck): Promise<string> {
  const { csvRow } = await import('../../analysis/export.ts');
  const columns = [
    'stream',
    'layer',
    'record_id',
    'sequence',
    'time',
    'event',
    'attribute',
    'expected',
    'got',
  ] as const;
  const rows = differences.map((one) => csvRow(columns.map((name) => cell(one[name]))));
  return [csvRow(columns), ...rows].join('');
}

const cell = (value: unknown): string | number | null =>
  typeof value === 'string' || typeof value === 'number' || value === null ? value : json(value);

const FIGURES = {
  halts: 'halts',
  reductions: 'reductions',
  halted_minutes: 'minutes halted',
  stops_fired: 'stops fired',
  orders_denied: 'orders denied',
  orders_cut: 'orders cut',
  calls_refused: 'calls refused',
  positions_closed: 'positions closed',
  positions_open: 'positions open',
  result: 'result at recorded prices',
} as const satisfies { readonly [K in keyof ReplayFigures]: string };

async function other(trail: readonly string[], flags: ReplayFlags, output: Output): Promise<number> {
  const { replay } = await import('../../analysis/replay/replay.ts');
  const { from, to, set = [] } = flags;
  const answer = await shown(`replaying ${trail.join(' ')}`, (onRead) => replay(trail, { set, from, to, onRead }));
  if (flags.json) await output.write(`${JSON.stringify(answer, undefined, 2)}\n`);
  else if (flags.csv) await output.write(await rowsCsv(answer));
  else await output.write(await replayText(answer, flags.limit, output));
  return EXIT.good;
}

async function replayText(answer: ReplayResult, limit: number, output: Output): Promise<string> {
  const { textTable } = await import('../../analysis/text-table.ts');
  const { recorded, replayed, rows, unknown } = answer;
  const names = Object.keys(FIGURES) as (keyof ReplayFigures)[];
  const change = (name: keyof ReplayFigures) => Math.round((replayed[name] - recorded[name]) * 100) / 100;
  const parameters = Object.entries(answer.parameters).map(([name, value]) => `${name} = ${value ?? 'none'}`);
  const lines = [
    output.style('bold', `Replay of ${answer.from} to ${answer.to} with ${parameters.join(', ')}`),
    textTable(
      ['', 'recorded', 'replayed', 'change'],
      names.map((name) => [FIGURES[name], recorded[name], replayed[name], change(name)]),
    ).trimEnd(),
    rows.length === 0
      ? 'Every decision comes out as it was recorded.'
      : `${rows.length} decisions come out otherwise, the first at ${answer.first_difference}; of ${unknown} nothing can be known.`,
    ...answer.notes.map((note) => `Note: ${note}.`),
  ];
  if (rows.length > 0 && limit > 0) {
    const table = rows
      .slice(0, limit)
      .map((row) => [
        row.time.slice(0, 16).replace('T', ' '),
        row.kind,
        row.subject,
        row.recorded,
        row.replayed,
        mark(row),
      ]);
    lines.push('', textTable(['time', 'what', 'of', 'recorded', 'replayed', 'known'], table, 48).trimEnd());
    if (rows.length > limit) lines.push(`… and ${rows.length - limit} more (--limit, --csv, --json)`);
  }
  return `${lines.join('\n')}\n`;
}

const mark = ({ known, why }: { readonly known: string; readonly why: string }): string =>
  why === '' ? known : `${known}: ${why}`;

async function rowsCsv({ rows }: ReplayResult): Promise<string> {
  const { csvRow } = await import('../../analysis/export.ts');
  const columns = [
    ...(['time', 'kind', 'subject', 'recorded', 'replayed', 'known', 'why', 'record_id'] as const),
    ...(['recorded_result', 'replayed_result'] as const),
  ];
  return [csvRow(columns), ...rows.map((row) => csvRow(columns.map((name) => row[name])))].join('');
}

async function sweep(trail: readonly string[], flags: ReplayFlags, output: Output): Promise<number> {
  const { sweepReplay } = await import('../../analysis/replay/replay.ts');
  const { from, to, set, sweep: axes = [] } = flags;
  const answer = await shown(`sweeping ${trail.join(' ')}`, (onRead) =>
    sweepReplay(trail, { sweep: axes, set, from, to, onRead, onProgress: settingsTo(onRead) }),
  );
  if (flags.html !== undefined) {
    const { writeFile } = await import('node:fs/promises');
    const { sweepPage } = await import('../../analysis/replay/page.ts');
    const { RiskTrailError } = await import('../../core/errors.ts');
    await writeFile(flags.html, sweepPage(answer)).catch((error: Error) => {
      throw new RiskTrailError('FILE_UNREADABLE', { path: flags.html!, reason: error.message }, error);
    });
    output.note(`risktrail: heat maps in ${flags.html}`);
  }
  if (flags.json) await output.write(`${JSON.stringify(answer, undefined, 2)}\n`);
  else if (flags.csv) await output.write(await sweepCsv(answer));
  else await output.write(await sweepText(answer, output));
  return EXIT.good;
}

async function sweepText(answer: SweepResult, output: Output): Promise<string> {
  const { textTable } = await import('../../analysis/text-table.ts');
  const { sweepTable } = await import('../../analysis/replay/sweep-table.ts');
  const axes = answer.axes.map(({ parameter }) => parameter);
  const { headings, recorded, rows } = sweepTable(answer);
  const table = [recorded, ...rows].map(({ settings, figures }) => [...settings, ...figures]);
  return [
    `${output.style('bold', `Sweep of ${axes.join(' and ')}, ${answer.from} to ${answer.to}: ${rows.length} settings`)}\n`,
    textTable(headings, table),
    ...answer.notes.map((note) => `Note: ${note}.\n`),
  ].join('');
}

async function sweepCsv(answer: SweepResult): Promise<string> {
  const { SWEEP_FIGURES } = await import('../../analysis/replay/sweep-table.ts');
  const { csvRow } = await import('../../analysis/export.ts');
  const axes = answer.axes.map(({ parameter }) => parameter);
  const columns = [...axes, ...SWEEP_FIGURES, 'first_difference'];
  const rows = answer.rows.map((row) =>
    csvRow([
      ...axes.map((name) => cell(row.parameters[name])),
      ...SWEEP_FIGURES.map((name) => row[name]),
      row.first_difference,
    ]),
  );
  return [csvRow(columns), ...rows].join('');
}

type Tell = ((progress: Progress) => void) | undefined;

/** Runs the work with its progress shown. */
async function shown<T>(what: string, work: (tell: Tell) => Promise<T>): Promise<T> {
  const { createSystemClock } = await import('../../core/clock.ts');
  return withProgress(what, createSystemClock().monotonic, work);
}

/** Settings of a sweep, told as what is read is told. */
const settingsTo = (tell: Tell) =>
  tell === undefined
    ? undefined
    : (done: number, total: number) => tell({ bytes: done, totalBytes: total, records: done, unit: 'settings' });
