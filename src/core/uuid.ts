/** UUIDv7 (RFC 9562 section 5.7): sortable record ids. Written out because record ids are made on the hot path. */
import { randomFillSync } from 'node:crypto';

const COUNTS = 4096;
/** The 12 bits of the counter as three hex digits. */
const COUNTER: readonly string[] = Array.from({ length: COUNTS }, (_, count) => count.toString(16).padStart(3, '0'));
const POOL_BYTES = 4096;
const TAIL_BYTES = 8;
const MAX_MS = 2 ** 48 - 1;

/**
 * A generator of UUIDv7s. Within one millisecond the 12 bits of `rand_a` count upwards from a random start
 * (RFC 9562 section 6.2, method 1), so ids of one generator sort in the order of their making. The 62 random bits behind
 * them, which tell generators apart, are drawn anew for each millisecond.
 */
export function createUuidV7(): (epochMs: number) => string {
  const pool = Buffer.alloc(POOL_BYTES);
  let used = POOL_BYTES;
  let lastMs = -1;
  let counter = 0;
  let prefix = '';
  let tail = '';

  function begin(ms: number): void {
    if (used + TAIL_BYTES + 1 > POOL_BYTES) {
      randomFillSync(pool);
      used = 0;
    }
    lastMs = ms;
    const time = ms.toString(16).padStart(12, '0');
    prefix = `${time.slice(0, 8)}-${time.slice(8)}-7`;
    // The upper bit stays free, so that a millisecond has room for at least 2,048 ids.
    counter = (pool[used]! << 3) & 0x7ff;
    pool[used + 1] = (pool[used + 1]! & 0x3f) | 0x80;
    const random = pool.toString('hex', used + 1, used + 1 + TAIL_BYTES);
    tail = `-${random.slice(0, 4)}-${random.slice(4)}`;
    used += TAIL_BYTES + 1;
  }

  return (epochMs) => {
    // 48 bits hold a time until the year 10889; another one keeps the order and tells none of its own.
    const ms = epochMs >= 0 && epochMs < MAX_MS ? Math.floor(epochMs) : Math.max(lastMs, 0);
    if (ms > lastMs) begin(ms);
    else if (counter >= COUNTS - 1) begin(lastMs + 1);
    else counter++;
    return prefix + COUNTER[counter] + tail;
  };
}
