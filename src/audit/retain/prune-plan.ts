/** Which segments retention removes: a pure choice among those that are there. */

const DAY_MS = 86_400_000;

/** How long a trail is kept. Where nothing is chosen, everything is kept for ever. */
export interface RetentionPolicy {
  /**
   * Records younger than so many days are never removed. Alone, it also says that older ones are; beside `maxBytes` or
   * `maxSegments` those say when.
   */
  readonly days?: number | undefined;
  /** The service's segments together take at most so many bytes, as far as `days` allows. */
  readonly maxBytes?: number | undefined;
  /** There are at most so many segments, as far as `days` allows. */
  readonly maxSegments?: number | undefined;
}

/** A segment as the plan sees it. */
export interface PlannedSegment {
  readonly stream: string;
  readonly bytes: number;
  /** Time of its last record, epoch milliseconds. */
  readonly lastMs: number;
  /** What holds it back: no checkpoint covers it, or no copy is known to hold it. */
  readonly held: 'checkpoint' | 'copy' | undefined;
}

/** What a plan says. */
export interface PrunePlan {
  /** How many of its oldest segments each stream loses. */
  readonly remove: ReadonlyMap<string, number>;
  /** Segments that would go, were they covered by a checkpoint and held by a copy. */
  readonly heldForCheckpoint: number;
  readonly heldForCopy: number;
}

/**
 * Chooses what goes: the oldest segments of all streams first, each stream from its beginning on.
 * @param segments those of each stream in their order; other bytes and segments count towards the limits only
 */
export function planPruning(
  policy: RetentionPolicy,
  nowMs: number,
  segments: readonly PlannedSegment[],
  others: { readonly bytes: number; readonly segments: number },
): PrunePlan {
  const { days, maxBytes, maxSegments } = policy;
  const bounded = maxBytes !== undefined || maxSegments !== undefined;
  const youngestMs = days === undefined ? Number.POSITIVE_INFINITY : nowMs - days * DAY_MS;
  let bytes = segments.reduce((sum, one) => sum + one.bytes, others.bytes);
  let count = segments.length + others.segments;
  const remove = new Map<string, number>();
  const blocked = new Set<string>();
  let heldForCheckpoint = 0;
  let heldForCopy = 0;
  if (!bounded && days === undefined) return { remove, heldForCheckpoint, heldForCopy };
  // A stable sort: within a stream the order stays, since times never go back there.
  for (const one of segments.toSorted((a, b) => a.lastMs - b.lastMs)) {
    if (one.lastMs >= youngestMs) break;
    if (
      bounded &&
      bytes <= (maxBytes ?? Number.POSITIVE_INFINITY) &&
      count <= (maxSegments ?? Number.POSITIVE_INFINITY)
    )
      break;
    if (one.held !== undefined || blocked.has(one.stream)) {
      blocked.add(one.stream);
      if (one.held === 'copy') heldForCopy++;
      else if (one.held === 'checkpoint') heldForCheckpoint++;
      continue;
    }
    remove.set(one.stream, (remove.get(one.stream) ?? 0) + 1);
    bytes -= one.bytes;
    count--;
  }
  return { remove, heldForCheckpoint, heldForCopy };
}
