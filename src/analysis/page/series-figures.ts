/** Pictures of prices, stops and equity, with their tables. */
import { equityChart, priceChart } from './charts.ts';
import { joined } from './downsample.ts';
import { number, numberText, percentText, table, time, timeText } from './format.ts';
import { cut, type Html, type HtmlValue, html } from './html.ts';
import { BLOCK, keyHtml, STROKE } from './key-html.ts';
import type { EquityCurve, PageData, PeriodStretch, Scope, StopLife } from './page-types.ts';
import { periodText } from './periods.ts';
import { moreHtml } from './report-html.ts';
import { type Charts, figure } from './svg.ts';

const MAX_STOP_ROWS = 200;

/** The stretches of each period as one. */
function byPeriod(stretches: readonly PeriodStretch[]): PeriodStretch[] {
  const periods = new Map<number, PeriodStretch>();
  for (const one of stretches) {
    const before = periods.get(one.periodMs);
    periods.set(one.periodMs, before === undefined ? one : { ...one, ...joined(before, one) });
  }
  return [...periods.values()];
}

const slug = (at: number, kind: string): string => `${kind}-${at + 1}`;

export function pricesHtml(
  charts: Charts,
  { prices, stops, stopsLeftOut, otherSymbols, closeUp }: PageData,
  scope: Scope,
): HtmlValue {
  if (prices.size === 0)
    return html`<p class="empty">No price and no trailing stop was recorded in this range. Prices are recorded where the service records its inputs, or emits <code>market.price</code> or <code>market.candle_closed</code>.</p>`;
  return [
    closeUp === undefined
      ? null
      : priceHtml(charts, closeUp.scope, closeUp.symbol, closeUp.stretches, closeUp.stops, 'close-up'),
    ...[...prices].map(([symbol, stretches], at) =>
      priceHtml(
        charts,
        scope,
        symbol,
        stretches,
        stops.filter((stop) => stop.symbol === symbol),
        slug(at, 'price'),
      ),
    ),
    stopsLeftOut > 0
      ? html`<p class="note">Only the newest stops are drawn; ${numberText(stopsLeftOut)} earlier ones are not: narrow the range with <code>--from</code> and <code>--to</code>.</p>`
      : null,
    moreHtml(
      otherSymbols.length,
      otherSymbols.length === 1 ? 'symbol' : 'symbols',
      `--symbol ${otherSymbols[0] ?? ''}`,
    ),
  ];
}

function priceHtml(
  charts: Charts,
  scope: Scope,
  symbol: string,
  stretches: readonly PeriodStretch[],
  stops: readonly StopLife[],
  id: string,
): Html {
  const near = id === 'close-up';
  const periods = byPeriod(stretches);
  const n = stretches.reduce((sum, one) => sum + one.n, 0);
  const fired = stops.filter(({ firedMs }) => firedMs !== null).length;
  const activated = stops.filter(({ activatedMs }) => activatedMs !== null).length;
  const whole = periods.length === 0 ? undefined : periods.reduce((a, b) => ({ ...b, ...joined(a, b) }));
  const words =
    whole === undefined
      ? 'No price was recorded: only the stops are drawn.'
      : `${numberText(n)} prices between ${numberText(whole.low[1])} and ${numberText(whole.high[1])}, the last ${numberText(whole.last[1])}.`;
  return figure(charts, {
    id,
    title: near
      ? `${symbol}: the newest stops, from ${timeText(scope.fromMs).slice(0, 16)} on`
      : `${symbol}: price and stops`,
    summary: `${words} ${numberText(stops.length)} stops, ${numberText(activated)} became active, ${numberText(fired)} fired.`,
    draw: (_, narrow) => priceChart(scope, stretches, stops, narrow),
    key: keyHtml(
      ['price', STROKE, 'price'],
      ['level', STROKE, 'stop level'],
      ['level', '<path d="M1 6H21" stroke-width="1.5" stroke-dasharray="2 3" fill="none"/>', 'fixed level until then'],
      ['active', '<path d="M11 1L17 11H5Z" stroke="none"/>', 'became active'],
      ['halted', '<path d="M11 0L17 6L11 12L5 6Z" stroke="none"/>', 'fired'],
    ),
    table: html`${table(
      near ? `near:prices:${symbol}` : `prices:${symbol}`,
      `Prices of ${symbol} by ${scope.unit}`,
      [
        { title: scope.unit, cell: ({ periodMs }) => periodText(periodMs, scope.unit) },
        { title: 'First', cell: ({ first }) => number(first[1]), numeric: true },
        { title: 'Low', cell: ({ low }) => number(low[1]), numeric: true },
        { title: 'High', cell: ({ high }) => number(high[1]), numeric: true },
        { title: 'Last', cell: ({ last }) => number(last[1]), numeric: true },
        { title: 'Prices', cell: ({ n: count }) => number(count), numeric: true },
      ],
      periods,
      'No price was recorded.',
    )}${table(
      near ? `near:stops:${symbol}` : `stops:${symbol}`,
      `Stops of ${symbol}, the newest first`,
      [
        { title: 'Stop', cell: ({ stop }) => cut(stop, 80) },
        { title: 'Side', cell: ({ side }) => side },
        { title: 'Added', cell: ({ addedMs }) => time(addedMs) },
        { title: 'Entry', cell: ({ entryPrice }) => number(entryPrice), numeric: true },
        { title: 'Active from', cell: ({ activatedMs }) => time(activatedMs) },
        { title: 'Level', cell: ({ level }) => number(level), numeric: true },
        { title: 'Fired', cell: ({ firedMs }) => time(firedMs) },
        { title: 'At', cell: ({ firedAt }) => number(firedAt), numeric: true },
        { title: 'Gap', cell: ({ gap }) => number(gap), numeric: true },
        { title: 'By', cell: ({ trigger }) => trigger },
      ],
      stops.toReversed().slice(0, MAX_STOP_ROWS),
      'No stop.',
    )}${moreHtml(stops.length - MAX_STOP_ROWS, 'stops', `risktrail query "SELECT * FROM stops WHERE symbol = '${symbol.replaceAll("'", "''")}'"`)}`,
  });
}

export function equityHtml(charts: Charts, { equity, otherAccounts }: PageData, scope: Scope): HtmlValue {
  if (equity.length === 0)
    return html`<p class="empty">Neither equity nor the result of a closed trade was recorded in this range, so there is no curve, and no drawdown can be told.</p>`;
  return [
    ...equity.map((curve, at) => curveHtml(charts, scope, curve, at)),
    otherAccounts > 0
      ? html`<p class="note">and ${numberText(otherAccounts)} more accounts: <code>--account ID</code></p>`
      : null,
  ];
}

function curveHtml(charts: Charts, scope: Scope, curve: EquityCurve, at: number): Html {
  const periods = byPeriod(curve.stretches);
  const deepest = deepestOf(curve);
  const asText = curve.kind === 'equity' ? percentText : numberText;
  const falls = new Map<number, number>();
  for (const { periodMs, value } of curve.falls) falls.set(periodMs, Math.max(value, falls.get(periodMs) ?? 0));
  const what = curve.kind === 'equity' ? 'Equity' : 'Sum of the results';
  const source =
    curve.kind === 'equity'
      ? `${numberText(curve.n)} values of ${curve.event}; the drawdown is the fall from the highest value of this range, of that value`
      : `The sum of ${numberText(curve.n)} results of closed trades${scope.symbol === undefined && scope.strategy === undefined ? ', as no equity was recorded' : ''}; the drawdown is in money`;
  return figure(charts, {
    id: slug(at, 'equity-curve'),
    title: curve.account === '' ? what : `${what} of ${curve.account}`,
    summary: `${source}. Last ${numberText(periods.at(-1)!.last[1])}; deepest drawdown ${deepest === undefined ? 'none' : `${asText(deepest.value)} on ${timeText(deepest.ms)}`}.`,
    draw: (_, narrow) => equityChart(scope, curve, narrow),
    key: keyHtml(['price', STROKE, what.toLowerCase()], ['loss', BLOCK, 'drawdown']),
    table: table(
      `equity:${curve.account}`,
      `${what} by ${scope.unit}`,
      [
        { title: scope.unit, cell: ({ periodMs }) => periodText(periodMs, scope.unit) },
        { title: 'First', cell: ({ first }) => number(first[1]), numeric: true },
        { title: 'Low', cell: ({ low }) => number(low[1]), numeric: true },
        { title: 'High', cell: ({ high }) => number(high[1]), numeric: true },
        { title: 'Last', cell: ({ last }) => number(last[1]), numeric: true },
        {
          title: 'Deepest drawdown',
          cell: ({ periodMs }) => number(falls.get(periodMs) ?? null, asText),
          numeric: true,
        },
        { title: 'Values', cell: ({ n }) => number(n), numeric: true },
      ],
      periods,
      '',
    ),
  });
}

export function deepestOf({ falls, kind }: EquityCurve) {
  const deepest = falls.reduce<EquityCurve['falls'][number] | undefined>(
    (a, b) => (a === undefined || b.value > a.value ? b : a),
    undefined,
  );
  return deepest === undefined ? undefined : { ...deepest, text: kind === 'equity' ? percentText : numberText };
}
