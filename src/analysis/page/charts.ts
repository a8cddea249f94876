/** The pictures of series and of durations, as options of echarts. */
import type { EChartsCoreOption } from 'echarts/core';
import { compact, grid, label, line, quiet, timeAxis, valueAxis } from './chart-parts.ts';
import { narrowed, pointsOf } from './downsample.ts';
import { numberText, percentText } from './format.ts';
import type { EquityCurve, Latency, PeriodStretch, Scope, StopLife } from './page-types.ts';
import { LATENCY_CLASSES } from './read-states.ts';
import { type Color, color } from './svg.ts';

const NARROW_STRETCHES = 110;

/** Price, the levels of the stops, where they became active and where they fired. */
export function priceChart(
  scope: Scope,
  stretches: readonly PeriodStretch[],
  stops: readonly StopLife[],
  narrow: boolean,
): { height: number; option: EChartsCoreOption } {
  const levels: [number, number | null][] = [];
  const fixed: [number, number | null][] = [];
  for (const stop of stops) {
    const end = stop.endedMs ?? scope.toMs;
    const first = stop.levels[0]?.[0] ?? end;
    if (stop.hardStop !== null && stop.addedMs !== null && first > stop.addedMs) {
      fixed.push([stop.addedMs, stop.hardStop], [first, stop.hardStop], [first, null]);
    }
    for (const point of stop.levels) levels.push([...point]);
    if (stop.levels.length > 0)
      levels.push([Math.max(end, stop.levels.at(-1)![0]), stop.levels.at(-1)![1]], [end, null]);
  }
  const many = stops.length > 120;
  const size = (narrow ? 6 : 9) - (many ? 3 : 0);
  const marks = (data: readonly (readonly [number, number])[], symbol: string, name: Color, rotate = 0) => ({
    type: 'scatter',
    data,
    symbol,
    symbolSize: size,
    symbolRotate: rotate,
    itemStyle: { color: color(name), borderColor: color('surface'), borderWidth: many ? 0.5 : 1 },
    ...quiet,
  });
  const activated = stops.flatMap(({ activatedMs: ms, activatedAt: at }) =>
    ms === null || at === null ? [] : [[ms, at] as const],
  );
  const fired = stops.flatMap(({ firedMs: ms, firedAt: at }) =>
    ms === null || at === null ? [] : [[ms, at] as const],
  );
  const price = pointsOf(narrow ? narrowed(stretches, NARROW_STRETCHES) : stretches);
  return {
    height: narrow ? 260 : 400,
    option: {
      grid: grid(narrow),
      xAxis: timeAxis(scope, narrow),
      yAxis: valueAxis(narrow, compact),
      series: [
        line(
          price,
          many ? 'muted' : 'price',
          many ? 0.8 : 1.4,
          many ? { lineStyle: { color: color('muted'), width: 0.8, opacity: 0.75 } } : {},
        ),
        line(fixed, 'level', 1, { lineStyle: { color: color('level'), width: 1, type: [2, 3], opacity: 0.7 } }),
        line(levels, 'level', many ? 1.1 : 1.6, { step: 'end' }),
        marks(activated, 'triangle', 'active'),
        marks(fired, 'diamond', 'halted'),
      ],
    },
  };
}

/** Equity above, its fall from the peak below. */
export function equityChart(
  scope: Scope,
  curve: EquityCurve,
  narrow: boolean,
): { height: number; option: EChartsCoreOption } {
  const height = narrow ? 280 : 400;
  const equity = pointsOf(narrow ? narrowed(curve.stretches, NARROW_STRETCHES) : curve.stretches);
  const falls = [...curve.falls].sort((a, b) => a.ms - b.ms).map(({ ms, value }) => [ms, -value] as const);
  const asText = curve.kind === 'equity' ? (value: number) => percentText(value).replace(' ', '\u202f') : compact;
  return {
    height,
    option: {
      grid: [
        grid(narrow, { bottom: undefined, height: narrow ? 150 : 220 }),
        grid(narrow, { top: narrow ? 178 : 256, height: narrow ? 76 : 118, bottom: undefined }),
      ],
      xAxis: [
        timeAxis(scope, narrow, { gridIndex: 0, axisLabel: { show: false } }),
        timeAxis(scope, narrow, { gridIndex: 1 }),
      ],
      yAxis: [
        valueAxis(narrow, compact, { gridIndex: 0 }),
        valueAxis(narrow, asText, { gridIndex: 1, max: 0, splitNumber: 3 }),
      ],
      series: [
        line(equity, 'price', 1.6, { xAxisIndex: 0, yAxisIndex: 0 }),
        line(falls, 'loss', 1.2, {
          xAxisIndex: 1,
          yAxisIndex: 1,
          areaStyle: { color: color('loss'), opacity: 0.25, origin: 0 },
        }),
      ],
    },
  };
}

/** Class borders: `1.6 to 2.5 ms`. */
export function classText(at: number | null): string {
  if (at === null) return '0 ms';
  const border = (value: number) => numberText(Number((10 ** (value / LATENCY_CLASSES)).toPrecision(2)));
  return `${border(at)} to ${border(at + 1)} ms`;
}

/** Durations by class of their logarithm, the percentiles marked. */
export function latencyChart(
  { classes, all }: Latency,
  narrow: boolean,
): { height: number; option: EChartsCoreOption } {
  const known = classes.filter(({ at }) => at !== null).map(({ at }) => at!);
  const low = Math.min(...known);
  const high = Math.max(...known);
  const zero = classes.find(({ at }) => at === null);
  const bars: { readonly at: number | null; readonly n: number }[] = zero === undefined ? [] : [zero];
  for (let at = low; at <= high; at++) bars.push({ at, n: classes.find((one) => one.at === at)?.n ?? 0 });
  const placeOf = (ms: number): number => {
    const offset = zero === undefined ? 0 : 1;
    return ms > 0 && known.length > 0 ? offset + Math.log10(ms) * LATENCY_CLASSES - low - 0.5 : 0;
  };
  const lines =
    all === undefined
      ? []
      : ([
          ['p50', all.p50],
          ['p95', all.p95],
          ['p99', all.p99],
        ] as const);
  // Equal percentiles share one line.
  const marked = new Map<number, string>();
  for (const [name, ms] of lines) marked.set(ms, marked.has(ms) ? `${marked.get(ms)}, ${name}` : name);
  return {
    height: narrow ? 210 : 260,
    option: {
      grid: grid(narrow, { top: 30, bottom: 30 }),
      // A second axis under the bars' own: percentiles stand between classes.
      xAxis: [
        {
          type: 'category',
          data: bars.map(({ at }) =>
            at === null ? '0' : numberText(Number((10 ** (at / LATENCY_CLASSES)).toPrecision(2))),
          ),
          axisLine: { lineStyle: { color: color('line') } },
          axisTick: { show: false },
          axisLabel: { ...label(narrow), hideOverlap: true },
        },
        { type: 'value', min: -0.5, max: bars.length - 0.5, show: false },
      ],
      yAxis: [valueAxis(narrow, compact, { scale: false, minInterval: 1 })],
      series: [
        {
          type: 'bar',
          data: bars.map(({ n }) => n),
          barWidth: '82%',
          barMaxWidth: 64,
          itemStyle: { color: color('level') },
          ...quiet,
        },
        {
          type: 'line',
          xAxisIndex: 1,
          data: [],
          ...quiet,
          markLine: {
            symbol: 'none',
            silent: true,
            animation: false,
            emphasis: { disabled: true },
            lineStyle: { color: color('ink'), width: 1, type: [4, 3] },
            label: {
              color: color('ink'),
              fontSize: narrow ? 10 : 12,
              position: 'end',
              formatter: ({ name }: { name: string }) => name,
            },
            data: [...marked].map(([ms, name]) => ({ name, xAxis: placeOf(ms) })),
          },
        },
      ],
    },
  };
}
