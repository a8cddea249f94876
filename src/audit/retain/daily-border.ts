/** The border of days, UTC. */
const DAY_MS = 86_400_000;

/** How long it is until the next midnight UTC; a whole day at midnight. */
export function msToNextDay(epochMs: number): number {
  return DAY_MS - (((epochMs % DAY_MS) + DAY_MS) % DAY_MS);
}
