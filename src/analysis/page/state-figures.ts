/** Pictures of states, limits and durations, with their tables. */

import { classText, latencyChart } from './charts.ts';
import { durationText, number, numberText, percentText, table, time } from './format.ts';
import { type HtmlValue, html } from './html.ts';
import { BLOCK, keyHtml } from './key-html.ts';
import { heatChart, heatColor, timelineChart } from './lane-charts.ts';
import type { LimitTotal, PageData, Scope, StateLane } from './page-types.ts';
import { periodsOf, periodText } from './periods.ts';
import { moreHtml } from './report-html.ts';
import { type Charts, figure } from './svg.ts';
import { type Segment, segmentsOf, standingOf, timeIn } from './timeline.ts';

const MAX_STRETCHES = 200;
/** More lanes, or limits, make no picture. */
const MAX_LANES = 24;
const MAX_LIMITS = 32;

export interface Lane extends StateLane {
  readonly title: string;
  readonly segments: readonly Segment[];
  /** The last state; undefined where none is known. */
  readonly last: Segment | undefined;
}

export function lanesOf(data: PageData, { fromMs, toMs }: Scope): Lane[] {
  // What the last record brought about is the state at the end, however short it has been so.
  const end = toMs + 1;
  return data.lanes.map((lane) => {
    const segments = segmentsOf(lane.changes, fromMs, end);
    const title = lane.kind === 'breaker' ? `Breaker ${lane.name}` : `Trading (${lane.name})`;
    return { ...lane, title, segments, last: segments.at(-1) };
  });
}

export function statesHtml(charts: Charts, scope: Scope, lanes: readonly Lane[]): HtmlValue {
  const all = lanes.filter(({ segments }) => segments.length > 0);
  const known =
    all.length <= MAX_LANES
      ? all
      : all.toSorted((a, b) => timeIn(b.segments).halted - timeIn(a.segments).halted).slice(0, MAX_LANES);
  if (known.length === 0)
    return html`<p class="empty">No record of this range, nor before it, tells of a circuit breaker or of a trading state: the service has none, or does not record them.</p>`;
  const filtered = [scope.symbol, scope.strategy, scope.account].some((one) => one !== undefined);
  const whole = scope.toMs + 1 - scope.fromMs;
  const rows = known.map((lane) => ({ ...lane, in: timeIn(lane.segments) }));
  const spans = known.flatMap(({ title, segments }) =>
    segments.filter(({ state }) => standingOf(state) !== 'normal').map((segment) => ({ title, ...segment })),
  );
  const openings = spans.filter(({ state }) => standingOf(state) === 'halted').length;
  return [
    filtered
      ? html`<p class="note">Breakers and trading states hold for all symbols, strategies and accounts of their scope: they are not filtered.</p>`
      : null,
    moreHtml(all.length - known.length, 'lanes that were halted for less time', 'risktrail report risk'),
    figure(charts, {
      id: 'timeline',
      title: 'States over time',
      summary: `${openings} ${openings === 1 ? 'stretch' : 'stretches'} of OPEN or HALTED in ${known.length} ${known.length === 1 ? 'lane' : 'lanes'}. A thick bar is a restriction, a thin one the normal state; the shortest are drawn wider than they were.`,
      draw: (_, narrow) => timelineChart(scope, known, narrow),
      key: keyHtml(
        ['normal', '<rect x="1" y="5" width="20" height="3" stroke="none"/>', 'CLOSED, ACTIVE'],
        ['caution', '<rect x="1" y="3" width="20" height="6" stroke="none"/>', 'HALF_OPEN, REDUCING'],
        ['halted', BLOCK, 'OPEN, HALTED'],
        ['off', '<rect x="1" y="3" width="20" height="6" stroke="none"/>', 'switched off'],
      ),
      table: html`${table(
        'states',
        'Time in each state',
        [
          { title: 'What', cell: ({ title }) => title },
          { title: 'Last state', cell: ({ last }) => last?.state },
          { title: 'Normal', cell: (row) => number(row.in.normal / whole, percentText), numeric: true },
          { title: 'Restricted', cell: (row) => number(row.in.caution, durationText), numeric: true },
          { title: 'Open or halted', cell: (row) => number(row.in.halted, durationText), numeric: true },
          { title: 'Switched off', cell: (row) => number(row.in.off, durationText), numeric: true },
        ],
        rows,
        '',
      )}${table(
        'segments',
        'Every stretch that was not normal, the newest first',
        [
          { title: 'What', cell: ({ title }) => title },
          { title: 'State', cell: ({ state }) => state },
          { title: 'From', cell: ({ fromMs }) => time(fromMs) },
          { title: 'To', cell: ({ toMs }) => time(toMs) },
          { title: 'Lasted', cell: ({ fromMs, toMs }) => number(toMs - fromMs, durationText), numeric: true },
        ],
        spans.sort((a, b) => b.fromMs - a.fromMs).slice(0, MAX_STRETCHES),
        'Everything was normal all the time.',
      )}${moreHtml(spans.length - MAX_STRETCHES, 'stretches', 'risktrail report risk')}`,
    }),
  ];
}

export function heatHtml(charts: Charts, { heat, limits: all }: PageData, scope: Scope): HtmlValue {
  if (all.length === 0)
    return html`<p class="empty">No limit was evaluated in this range: no order was checked, and no portfolio health was recorded.</p>`;
  const fullest = (a: LimitTotal, b: LimitTotal) => b.denied - a.denied || (b.highest ?? 0) - (a.highest ?? 0);
  const limits = all.length <= MAX_LIMITS ? all : all.toSorted(fullest).slice(0, MAX_LIMITS);
  const names = limits.map(({ limit }) => limit);
  const periods = periodsOf(scope);
  const denied = limits.reduce((sum, one) => sum + one.denied, 0);
  const text = (ms: number) => periodText(ms, scope.unit);
  const drawn = heat.filter(({ limit }) => names.includes(limit));
  const byCell = new Map(drawn.map((cell) => [`${cell.limit}|${cell.periodMs}`, cell]));
  const busy = periods.filter((ms) => names.some((name) => byCell.has(`${name}|${ms}`)));
  const picture = figure(charts, {
    id: 'heat',
    title: 'How full the limits were',
    summary: `The fullest of each ${scope.unit}, as the projected value of the limit, over ${limits.length} ${limits.length === 1 ? 'limit' : 'limits'}; ${denied} ${denied === 1 ? 'denial' : 'denials'}. No colour: not evaluated.`,
    draw: (_, narrow) => heatChart(drawn, names, periods, text, narrow),
    key: keyHtml(
      ['heat0', BLOCK, '0 %'],
      ['heat1', BLOCK, 'below 50 %'],
      ['heat2', BLOCK, '50 to 80 %'],
      ['caution', BLOCK, '80 to 100 %'],
      ['halted', BLOCK, 'reached, or an order denied'],
    ),
    table: html`${table(
      'limits',
      'Limits over the whole range',
      [
        { title: 'Limit', cell: ({ limit }) => limit },
        { title: 'Evaluations', cell: ({ results }) => number(results), numeric: true },
        { title: 'Highest', cell: ({ highest }) => number(highest, percentText), numeric: true },
        { title: 'When', cell: ({ highestMs }) => time(highestMs) },
        { title: 'From 80 % on', cell: ({ warm }) => number(warm), numeric: true },
        { title: 'Denials', cell: ({ denied: n }) => number(n), numeric: true },
      ],
      limits,
      '',
    )}${table(
      'heat',
      `Highest of each ${scope.unit}`,
      [
        { title: scope.unit, cell: (ms: number) => text(ms) },
        ...names.map((name) => ({
          title: name,
          numeric: true,
          cell: (ms: number) => {
            const cell = byCell.get(`${name}|${ms}`);
            return cell === undefined
              ? number(null)
              : html`${number(cell.utilization, percentText)}${cell.denied > 0 ? html`, ${number(cell.denied)} denied` : null}${heatColor(cell) === 'halted' && cell.denied === 0 ? ', reached' : null}`;
          },
        })),
      ],
      busy,
      '',
    )}`,
  });
  return [
    picture,
    moreHtml(
      all.length - limits.length,
      'limits that were less full',
      'risktrail query "SELECT type, max(utilization) FROM limit_results GROUP BY type"',
    ),
  ];
}

export function latencyHtml(charts: Charts, { latency }: PageData): HtmlValue {
  const { all, operations, classes } = latency;
  if (all === undefined)
    return html`<p class="empty">No record of this range has a duration. Durations come from calls through a circuit breaker, from <code>performance.latency</code> and from <code>api.call</code>.</p>`;
  const ms = (value: number) => `${numberText(Number(value.toPrecision(4)))} ms`;
  const still =
    all.max === 0 ? ' All are 0: the trail was written on simulated time, which stands still within a call.' : '';
  return figure(charts, {
    id: 'durations',
    title: 'How long operations took',
    summary: `${numberText(all.n)} durations: half within ${ms(all.p50)}, 95 % within ${ms(all.p95)}, 99 % within ${ms(all.p99)}, the longest ${ms(all.max)}.${still}`,
    draw: (_, narrow) => latencyChart(latency, narrow),
    key: keyHtml(['level', BLOCK, 'durations by class, in ms (each class is 1.6 times as wide as the one before)']),
    table: html`${table(
      'latency',
      'Durations by operation, in milliseconds',
      [
        { title: 'Event', cell: ({ event }) => event },
        { title: 'Operation', cell: ({ operation }) => operation },
        { title: 'n', cell: ({ n }) => number(n), numeric: true },
        { title: 'p50', cell: ({ p50 }) => number(p50), numeric: true },
        { title: 'p95', cell: ({ p95 }) => number(p95), numeric: true },
        { title: 'p99', cell: ({ p99 }) => number(p99), numeric: true },
        { title: 'max', cell: ({ max }) => number(max), numeric: true },
      ],
      operations.slice(0, 100),
      '',
    )}${table(
      'latency-classes',
      'Durations by class',
      [
        { title: 'Class', cell: ({ at }) => classText(at) },
        { title: 'n', cell: ({ n }) => number(n), numeric: true },
      ],
      classes,
      '',
    )}`,
  });
}
