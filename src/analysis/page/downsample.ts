/** Fewer points for the same picture: of every stretch the first, lowest, highest and last are kept (M4). */

/** A stretch of a series: its first, lowest, highest and last point, each as time (epoch ms) and value. */
export interface Stretch {
  readonly first: Point;
  readonly low: Point;
  readonly high: Point;
  readonly last: Point;
  /** Points that it stands for. */
  readonly n: number;
}

/** Time in epoch milliseconds, and value. */
export type Point = readonly [ms: number, value: number];

/** Two neighbouring stretches as one. */
export function joined(before: Stretch, after: Stretch): Stretch {
  return {
    first: before.first,
    low: after.low[1] < before.low[1] ? after.low : before.low,
    high: after.high[1] > before.high[1] ? after.high : before.high,
    last: after.last,
    n: before.n + after.n,
  };
}

/** The points of stretches, in the order of time, each once. */
export function pointsOf(stretches: readonly Stretch[]): Point[] {
  const points: Point[] = [];
  for (const { first, low, high, last } of stretches) {
    const inner = low[0] <= high[0] ? [low, high] : [high, low];
    for (const point of [first, ...inner, last] as readonly Point[]) {
      const before = points.at(-1);
      if (before === undefined || before[0] !== point[0] || before[1] !== point[1]) points.push(point);
    }
  }
  return points;
}

/**
 * At most `most` stretches, each of neighbours: for a narrower picture. First, lowest, highest and last of the whole are kept.
 * @param stretches in the order of time
 */
export function narrowed(stretches: readonly Stretch[], most: number): readonly Stretch[] {
  if (stretches.length <= most) return stretches;
  const from = stretches[0]!.first[0];
  const width = (stretches.at(-1)!.last[0] - from) / most || 1;
  const merged: Stretch[] = [];
  let current = -1;
  for (const stretch of stretches) {
    const bucket = Math.min(most - 1, Math.floor((stretch.first[0] - from) / width));
    if (bucket === current) merged.push(joined(merged.pop()!, stretch));
    else merged.push(stretch);
    current = bucket;
  }
  return merged;
}
