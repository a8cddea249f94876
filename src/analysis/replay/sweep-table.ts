/** A sweep as rows and columns, for whatever shows it. */
import type { SweepResult, SweepRow } from './replay.ts';

/** Figures of a setting, in the order of showing. */
export const SWEEP_FIGURES = [
  'halts',
  'reductions',
  'halted_minutes',
  'stops_fired',
  'orders_denied',
  'orders_cut',
  'calls_refused',
  'positions_closed',
  'positions_open',
  'result',
  'differences',
  'unknown',
] as const satisfies readonly (keyof SweepRow)[];
export type SweepFigure = (typeof SWEEP_FIGURES)[number];

/** Headings and rows: first those of the parameters, then those of {@link SWEEP_FIGURES}. */
export interface SweepTable {
  readonly headings: readonly string[];
  /** What was recorded; null for what compares with it. */
  readonly recorded: { readonly settings: readonly string[]; readonly figures: readonly (number | null)[] };
  readonly rows: readonly { readonly settings: readonly string[]; readonly figures: readonly number[] }[];
}

/** The table of a sweep: what was recorded in front, then a row for each setting. */
export function sweepTable({ axes, recorded, rows }: SweepResult): SweepTable {
  const parameters = axes.map(({ parameter }) => parameter);
  return {
    headings: [...parameters, ...SWEEP_FIGURES.map((name) => name.replaceAll('_', ' '))],
    recorded: {
      settings: parameters.map((_, at) => (at === 0 ? 'recorded' : '')),
      figures: SWEEP_FIGURES.map((name) => (name === 'differences' || name === 'unknown' ? null : recorded[name])),
    },
    rows: rows.map((row) => ({
      settings: parameters.map((name) => String(row.parameters[name] ?? 'none')),
      figures: SWEEP_FIGURES.map((name) => row[name]),
    })),
  };
}
