/** What state something was in when: changes as segments of time. */

/** A change, or a statement of the state: at that time it was (or became) `state`, and was `old` before where that is told. */
export interface StateAt {
  readonly ms: number;
  readonly state: string;
  readonly old: string | null;
}

/** A stretch of time in one state, epoch ms. */
export interface Segment {
  readonly state: string;
  readonly fromMs: number;
  readonly toMs: number;
}

/**
 * The segments of `[fromMs, toMs]`, in order and without gaps after the first: before the first change the state is what that
 * change says it was; where it doesn't say, there is no segment.
 * @param changes in the order of the trail; times that go back count from the time before
 */
export function segmentsOf(changes: readonly StateAt[], fromMs: number, toMs: number): readonly Segment[] {
  const segments: Segment[] = [];
  const add = (state: string, start: number, end: number) => {
    const from = Math.max(start, fromMs);
    const to = Math.min(end, toMs);
    if (to <= from) return;
    const before = segments.at(-1);
    if (before?.state === state && before.toMs === from) segments[segments.length - 1] = { ...before, toMs: to };
    else segments.push({ state, fromMs: from, toMs: to });
  };
  const [first] = changes;
  if (first === undefined) return segments;
  if (first.old !== null) add(first.old, fromMs, first.ms);
  let start = first.ms;
  let { state } = first;
  for (const change of changes.slice(1)) {
    const end = Math.max(start, change.ms);
    add(state, start, end);
    start = end;
    state = change.state;
  }
  add(state, start, toMs);
  return segments;
}

/** How a state counts, whatever has it. */
export type Standing = 'normal' | 'caution' | 'halted' | 'off' | 'unknown';

const STANDINGS: Readonly<Record<string, Standing>> = {
  CLOSED: 'normal',
  ACTIVE: 'normal',
  HALF_OPEN: 'caution',
  REDUCING: 'caution',
  OPEN: 'halted',
  FORCED_OPEN: 'halted',
  HALTED: 'halted',
  DISABLED: 'off',
};

/** CLOSED and ACTIVE are normal, HALF_OPEN and REDUCING call for caution, OPEN, FORCED_OPEN and HALTED are halts. */
export function standingOf(state: string): Standing {
  return STANDINGS[state] ?? 'unknown';
}

/** Time in each standing, in milliseconds. */
export function timeIn(segments: readonly Segment[]): Readonly<Record<Standing, number>> {
  const total: Record<Standing, number> = { normal: 0, caution: 0, halted: 0, off: 0, unknown: 0 };
  for (const { state, fromMs, toMs } of segments) total[standingOf(state)] += toMs - fromMs;
  return total;
}
