/** The pictures that are made of lanes: states over time, and how full limits were. */
import type { EChartsCoreOption } from 'echarts/core';
import { grid, label, quiet, rectangle, timeAxis } from './chart-parts.ts';
import { cut, visible } from './html.ts';
import type { HeatCell, Scope } from './page-types.ts';
import { type Color, color } from './svg.ts';
import { type Segment, type Standing, standingOf } from './timeline.ts';

interface LaneSegments {
  readonly title: string;
  readonly segments: readonly Segment[];
}

/** How high a bar stands by its state: what is grave is also thick, not only of another colour. */
const THICKNESS: Readonly<Record<Standing, number>> = { normal: 0.2, caution: 0.6, halted: 1, off: 0.6, unknown: 0.2 };

const STATE_COLORS: Readonly<Record<Standing, Color>> = {
  normal: 'normal',
  caution: 'caution',
  halted: 'halted',
  off: 'off',
  unknown: 'line',
};

interface RenderApi {
  value(dimension: number): number;
  coord(point: readonly number[]): number[];
}

/** States over time, a lane each. */
export function timelineChart(
  scope: Scope,
  lanes: readonly LaneSegments[],
  narrow: boolean,
): { height: number; option: EChartsCoreOption } {
  const laneHeight = narrow ? 26 : 30;
  const left = narrow ? 104 : 170;
  const all = lanes.flatMap(({ segments }, lane) => segments.map((segment) => ({ lane, segment })));
  // What is grave is drawn last, or a short halt would vanish under its neighbours.
  const order: readonly Standing[] = ['unknown', 'normal', 'off', 'caution', 'halted'];
  all.sort((a, b) => order.indexOf(standingOf(a.segment.state)) - order.indexOf(standingOf(b.segment.state)));
  return {
    height: lanes.length * laneHeight + 40,
    option: {
      grid: grid(narrow, { left }),
      xAxis: timeAxis(scope, narrow),
      yAxis: {
        type: 'category',
        inverse: true,
        data: lanes.map(({ title }) => cut(visible(title), narrow ? 16 : 26)),
        axisLine: { show: false },
        axisTick: { show: false },
        axisLabel: { ...label(narrow), color: color('ink'), interval: 0 },
      },
      series: [
        {
          type: 'custom',
          ...quiet,
          data: all.map(({ lane, segment }, at) => [segment.fromMs, lane, segment.toMs, at]),
          renderItem(_: unknown, api: RenderApi) {
            const { segment } = all[api.value(3)]!;
            const standing = standingOf(segment.state);
            const [x, y] = api.coord([segment.fromMs, api.value(1)]) as [number, number];
            const [end] = api.coord([segment.toMs, api.value(1)]) as [number];
            const height = laneHeight * 0.62 * THICKNESS[standing];
            const width = Math.max(standing === 'normal' ? 0.5 : 1.6, end - x);
            return rectangle(x, y - height / 2, width, height, STATE_COLORS[standing]);
          },
        },
      ],
    },
  };
}

/** The class of a utilisation, and its colour: below 50 %, to 80 %, to 100 %, and reached. */
export function heatColor({ utilization, denied }: Pick<HeatCell, 'utilization' | 'denied'>): Color {
  if (denied > 0 || (utilization ?? 0) >= 1) return 'halted';
  if ((utilization ?? 0) >= 0.8) return 'caution';
  if ((utilization ?? 0) >= 0.5) return 'heat2';
  return (utilization ?? 0) > 0 ? 'heat1' : 'heat0';
}

/** How full each limit was, a row each, a column a period. */
export function heatChart(
  cells: readonly HeatCell[],
  limits: readonly string[],
  periods: readonly number[],
  periodLabel: (ms: number) => string,
  narrow: boolean,
): { height: number; option: EChartsCoreOption } {
  const rowHeight = narrow ? 18 : 22;
  const left = narrow ? 104 : 170;
  const column = new Map(periods.map((ms, at) => [ms, at]));
  return {
    height: limits.length * rowHeight + 40,
    option: {
      grid: grid(narrow, { left }),
      xAxis: {
        type: 'category',
        data: periods.map(periodLabel),
        axisLine: { show: false },
        axisTick: { show: false },
        axisLabel: {
          ...label(narrow),
          hideOverlap: true,
          interval: Math.max(0, Math.ceil(periods.length / (narrow ? 4 : 10)) - 1),
        },
      },
      yAxis: {
        type: 'category',
        inverse: true,
        data: limits.map((limit) => cut(visible(limit), narrow ? 16 : 26)),
        axisLine: { show: false },
        axisTick: { show: false },
        axisLabel: { ...label(narrow), color: color('ink'), interval: 0 },
      },
      series: [
        {
          type: 'custom',
          ...quiet,
          data: cells.map(({ limit, periodMs }, at) => [column.get(periodMs), limits.indexOf(limit), at]),
          renderItem(params: { coordSys: { width: number } }, api: RenderApi) {
            const cell = cells[api.value(2)]!;
            const [x, y] = api.coord([api.value(0), api.value(1)]) as [number, number];
            const width = params.coordSys.width / periods.length;
            const gap = width > 4 ? 1 : 0.4;
            const height = rowHeight - 2;
            return rectangle(x - width / 2, y - height / 2, width - gap, height, heatColor(cell));
          },
        },
      ],
    },
  };
}
