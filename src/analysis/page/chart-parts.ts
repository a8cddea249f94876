/** What the pictures have in common: axes, lines and numbers. */
import { numberText } from './format.ts';
import type { Scope } from './page-types.ts';
import { type Color, color } from './svg.ts';
import { ticksOf } from './ticks.ts';

export function timeAxis(scope: Scope, narrow: boolean, more: object = {}) {
  const toMs = Math.max(scope.toMs, scope.fromMs + 1);
  const ticks = ticksOf(scope.fromMs, toMs, narrow ? 6 : 11);
  const texts = new Map(ticks.map(({ ms, text }) => [ms, text]));
  return {
    type: 'value',
    min: scope.fromMs,
    max: toMs,
    axisLine: { lineStyle: { color: color('line') } },
    axisTick: { customValues: ticks.map(({ ms }) => ms), lineStyle: { color: color('line') }, length: 4 },
    splitLine: { show: false },
    axisLabel: {
      ...label(narrow),
      hideOverlap: true,
      customValues: ticks.map(({ ms }) => ms),
      formatter: (ms: number) => texts.get(ms) ?? '',
    },
    ...more,
  };
}

export function valueAxis(narrow: boolean, formatter: (value: number) => string, more: object = {}) {
  return {
    type: 'value',
    scale: true,
    splitNumber: narrow ? 3 : 5,
    axisLabel: { ...label(narrow), formatter },
    splitLine: { lineStyle: { color: color('line'), width: 1 } },
    axisLine: { show: false },
    axisTick: { show: false },
    ...more,
  };
}

export const label = (narrow: boolean) => ({ color: color('muted'), fontSize: narrow ? 10 : 12 });

export const grid = (narrow: boolean, more: object = {}) => ({
  left: narrow ? 44 : 64,
  right: narrow ? 8 : 16,
  top: 10,
  bottom: 26,
  outerBoundsMode: 'none',
  ...more,
});

export const quiet = { silent: true, emphasis: { disabled: true } };

export const compact = (value: number): string =>
  Math.abs(value) >= 1e6
    ? `${numberText(Number((value / 1e6).toPrecision(4)))} M`
    : Math.abs(value) >= 1e4
      ? `${numberText(Number((value / 1e3).toPrecision(4)))} k`
      : numberText(value);

export function line(
  data: readonly (readonly [number, number | null])[],
  name: Color,
  width: number,
  more: object = {},
) {
  return {
    type: 'line',
    data,
    showSymbol: false,
    lineStyle: { color: color(name), width, cap: 'round', join: 'round' },
    itemStyle: { color: color(name) },
    ...quiet,
    ...more,
  };
}

export function rectangle(x: number, y: number, width: number, height: number, fill: Color, more: object = {}) {
  return { type: 'rect', shape: { x, y, width, height }, style: { fill: color(fill), ...more }, silent: true };
}
