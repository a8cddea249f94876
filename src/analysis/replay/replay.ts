/**
 * What if: the inputs that a trail recorded, run once more through the pure risk layers, with the parameters as they were (a
 * check) or with others.
 */
import { type Clock, createSystemClock } from '../../core/clock.ts';
import { RiskTrailError } from '../../core/errors.ts';
import { nextTurn } from '../../core/next-turn.ts';
import { parseBound } from '../time-bound.ts';
import type { ReadProgress } from '../trail-query.ts';
import { checkChains, type ReplayCheck } from './check.ts';
import { compareChains, figuresOf, type ReplayComparison, type SweepFigures } from './compare.ts';
import {
  type ParameterValue,
  type ParameterValues,
  parseSettings,
  parseSweep,
  readChanges,
  type SweepAxis,
} from './parameters.ts';
import { readChains } from './read-chains.ts';
import type { RecordedChain } from './steps.ts';

/** Which part of a trail is replayed. */
export interface ReplayRange {
  /** From this time on, with the state of then: a date, a time, or back from now. */
  readonly from?: string | undefined;
  readonly to?: string | undefined;
  /** From whose wall time `24h` counts back. @default the machine's */
  readonly clock?: Clock | undefined;
  /** Told how far the reading of the trail has come. */
  readonly onRead?: ((progress: ReadProgress) => void) | undefined;
}

export interface ReplayOptions extends ReplayRange {
  /** Parameters that are other than recorded: `{ 'breaker.broker.failureThreshold': 3 }`, or as `name=value`. */
  readonly set: ParameterValues | readonly string[];
}

export interface SweepOptions extends ReplayRange {
  /** One or two axes: `stops.activationPct=1..4/0.5`, `breaker.broker.failureThreshold=2,3,5`. */
  readonly sweep: readonly (string | SweepAxis)[];
  /** Parameters that are other than recorded in every setting. */
  readonly set?: ParameterValues | readonly string[] | undefined;
  /** Told how many of the settings are done, once the trail was read. */
  readonly onProgress?: ((done: number, total: number) => void) | undefined;
}

/** What a replay with other parameters came to. */
export interface ReplayResult extends ReplayComparison {
  readonly parameters: ParameterValues;
  readonly streams: readonly string[];
  readonly record_inputs: 'changes' | 'all' | 'mixed';
  readonly from: string;
  readonly to: string;
}

/** One setting of a sweep. */
export interface SweepRow extends SweepFigures {
  readonly parameters: ParameterValues;
}

/** What a sweep came to. */
export interface SweepResult {
  readonly axes: readonly SweepAxis[];
  readonly fixed: ParameterValues;
  readonly recorded: ReplayComparison['recorded'];
  readonly rows: readonly SweepRow[];
  readonly record_inputs: 'changes' | 'all' | 'mixed';
  readonly from: string;
  readonly to: string;
  readonly notes: readonly string[];
}

const MAX_SETTINGS = 10_000;
const MAX_AXES = 2;

/**
 * Replays a trail with other parameters, beside what was recorded.
 * @param paths data directories or files of a trail
 * @throws RiskTrailError REPLAY_NOTHING, REPLAY_PARAMETER_UNKNOWN, OPTION_INVALID, PATH_NOT_FOUND, FILE_UNREADABLE, NO_TRAIL_FILES
 * @example
 * const { recorded, replayed, rows } = await replay('./risktrail-data', { set: { 'breaker.broker.failureThreshold': 3 } });
 */
export async function replay(paths: string | readonly string[], options: ReplayOptions): Promise<ReplayResult> {
  const chains = await chainsOf(paths, options);
  const parameters = valuesOf(options.set);
  return { parameters, ...rangeOf(chains), ...compareChains(chains, readChanges(parameters, chains)) };
}

/**
 * Replays a trail as it was recorded: every decision must come out the same.
 * @throws RiskTrailError REPLAY_NOTHING, OPTION_INVALID, PATH_NOT_FOUND, FILE_UNREADABLE, NO_TRAIL_FILES
 */
export async function checkReplay(paths: string | readonly string[], options: ReplayRange = {}): Promise<ReplayCheck> {
  return checkChains(await chainsOf(paths, options));
}

/**
 * Replays a trail with every combination of the axes' values. The trail is read once.
 * @throws RiskTrailError as {@link replay}
 */
export async function sweepReplay(paths: string | readonly string[], options: SweepOptions): Promise<SweepResult> {
  const axes = options.sweep.map((one) => (typeof one === 'string' ? parseSweep(one) : one));
  const count = axes.reduce((product, { values }) => product * values.length, 1);
  if (axes.length === 0 || axes.length > MAX_AXES || count > MAX_SETTINGS) {
    throw new RiskTrailError('OPTION_INVALID', {
      field: 'sweep',
      expected: `one or two parameters, and at most ${MAX_SETTINGS} settings together`,
      received: `${axes.length} parameters, ${count} settings`,
    });
  }
  const fixed = valuesOf(options.set ?? {});
  const chains = await chainsOf(paths, options);
  const settings = combinations(axes).map((one) => ({ ...fixed, ...one }));
  // A wrong name or value shows before the first setting is run.
  const all = settings.map((parameters) => readChanges(parameters, chains));
  const rows: SweepRow[] = [];
  const notes = new Set<string>();
  let recorded: ReplayComparison['recorded'] | undefined;
  for (const [at, changes] of all.entries()) {
    const comparison = compareChains(chains, changes);
    recorded ??= comparison.recorded;
    for (const note of comparison.notes) notes.add(note);
    const own = Object.fromEntries(axes.map(({ parameter }) => [parameter, settings[at]![parameter]!]));
    rows.push({ parameters: own, ...figuresOf(comparison) });
    options.onProgress?.(at + 1, all.length);
    // Whoever shows the progress needs a turn.
    await nextTurn();
  }
  const { streams: _, ...range } = rangeOf(chains);
  return { axes, fixed, recorded: recorded!, rows, ...range, notes: [...notes] };
}

const valuesOf = (given: ParameterValues | readonly string[]): ParameterValues =>
  Array.isArray(given) ? parseSettings(given) : (given as ParameterValues);

function chainsOf(paths: string | readonly string[], range: ReplayRange): Promise<readonly RecordedChain[]> {
  const { from, to, clock = createSystemClock(), onRead } = range;
  return readChains(typeof paths === 'string' ? [paths] : paths, {
    from: from === undefined ? undefined : parseBound('--from', from, 'from', clock),
    to: to === undefined ? undefined : parseBound('--to', to, 'to', clock),
    onRead,
  });
}

function rangeOf(chains: readonly RecordedChain[]) {
  const kinds = new Set(chains.map(({ recordInputs }) => recordInputs));
  const iso = (ms: number) => new Date(ms).toISOString();
  return {
    streams: chains.map(({ stream }) => stream),
    record_inputs: kinds.size > 1 ? ('mixed' as const) : [...kinds][0]!,
    from: iso(Math.min(...chains.map(({ firstMs }) => firstMs))),
    to: iso(Math.max(...chains.map(({ lastMs }) => lastMs))),
  };
}

function combinations(axes: readonly SweepAxis[]): readonly Record<string, ParameterValue>[] {
  let rows: readonly Record<string, ParameterValue>[] = [{}];
  for (const { parameter, values } of axes) {
    rows = rows.flatMap((row) => values.map((value) => ({ ...row, [parameter]: value })));
  }
  return rows;
}
