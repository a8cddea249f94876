/** UUIDv7 (RFC 9562 section 5.7): sortable record ids. Written out because record ids are made on the hot path. */
import { randomFillSync } from 'node:crypto';

const HEX: readonly string[] = Array.from({ length: 256 }, (_, byte) => byte.toString(16).padStart(2, '0'));
const POOL_BYTES = 4096;
const MAX_MS = 2 ** 48 - 1;

/**
 * A generator of UUIDv7s. Within one millisecond the 12 bits of `rand_a` count upwards from a random start
 * (RFC 9562 section 6.2, method 1), so ids of one generator sort in the order of their making.
 */
export function createUuidV7(): (epochMs: number) => string {
  const pool = new Uint8Array(POOL_BYTES);
  let used = POOL_BYTES;
  let lastMs = -1;
  let counter = 0;
  let prefix = '';
  return (epochMs) => {
    if (used + 8 > POOL_BYTES) {
      randomFillSync(pool);
      used = 0;
    }
    // 48 bits hold a time until the year 10889; another one keeps the order and tells none of its own.
    const ms = epochMs >= 0 && epochMs < MAX_MS ? Math.floor(epochMs) : Math.max(lastMs, 0);
    if (ms > lastMs || counter >= 0xfff) {
      lastMs = ms > lastMs ? ms : lastMs + 1;
      // The upper bit stays free, so that a millisecond has room for at least 2,048 ids.
      counter = (pool[used]! << 3) & 0x7ff;
      const hex = lastMs.toString(16).padStart(12, '0');
      prefix = `${hex.slice(0, 8)}-${hex.slice(8)}-7`;
    } else counter++;
    const at = used;
    used += 8;
    return (
      prefix +
      HEX[counter >> 8]![1] +
      HEX[counter & 0xff] +
      '-' +
      HEX[(pool[at]! & 0x3f) | 0x80] +
      HEX[pool[at + 1]!] +
      '-' +
      HEX[pool[at + 2]!] +
      HEX[pool[at + 3]!] +
      HEX[pool[at + 4]!] +
      HEX[pool[at + 5]!] +
      HEX[pool[at + 6]!] +
      HEX[pool[at + 7]!]
    );
  };
}
