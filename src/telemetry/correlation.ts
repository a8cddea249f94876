/**
 * Correlation ids as trace ids, so that one id finds the same work in Tempo, in Loki and in the trail.
 *
 * A UUID is the trace id without its dashes, in lower case. Any other string gives the first 16 bytes of its SHA-256 (over
 * UTF-8), in hex: anybody can compute it (`printf %s "$ID" | sha256sum | cut -c1-32`). The trace id of nothing but zeros is
 * invalid in W3C Trace Context, so the nil UUID is hashed like any other string.
 */
import { hash, randomFillSync } from 'node:crypto';
import type { IdGenerator } from '@opentelemetry/sdk-trace';

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i;
const ZERO = '00000000000000000000000000000000';

/** The trace id of a correlation id: 32 lower-case hex digits, never all zero. */
export function traceIdOf(correlationId: string): string {
  if (correlationId === made.id) return made.traceId;
  if (UUID.test(correlationId)) {
    // Each piece of work has one: cut out, it takes a fraction of what replacing takes.
    const [a, b, c] = [correlationId.slice(0, 8), correlationId.slice(9, 13), correlationId.slice(14, 18)];
    const traceId = (a + b + c + correlationId.slice(19, 23) + correlationId.slice(24)).toLowerCase();
    if (traceId !== ZERO) return traceId;
  }
  const digest = hash('sha256', correlationId).slice(0, 32);
  // One in 2^128; the specification forbids it all the same.
  return digest === ZERO ? `${ZERO.slice(1)}1` : digest;
}

/** The trace id that the next root span of our own provider gets. */
let wanted: string | undefined;

/**
 * Runs `start`, in which the first root span that our own provider starts gets this trace id. A generator of ids gets no
 * arguments; that starting a span is synchronous makes a variable enough, and keeps concurrent work apart.
 */
export function withNextTraceId<T>(traceId: string, start: () => T): T {
  wanted = traceId;
  try {
    return start();
  } finally {
    wanted = undefined;
  }
}

const POOL_BYTES = 4096;
const pool = Buffer.allocUnsafe(POOL_BYTES);
let used = POOL_BYTES;

/** So many fresh random bytes of the pool. @returns where they begin */
function take(bytes: 8 | 16): number {
  if (used + bytes > POOL_BYTES) {
    randomFillSync(pool);
    used = 0;
  }
  used += bytes;
  return used - bytes;
}

function randomHex(bytes: 8 | 16): string {
  for (;;) {
    const from = take(bytes);
    const id = pool.toString('hex', from, from + bytes);
    if (!/^0+$/.test(id)) return id;
  }
}

/** The correlation id that was made last: its trace id is asked for at once. */
const made: { id: string | undefined; traceId: string } = { id: undefined, traceId: '' };

/** A correlation id where none was given: a UUID of version 4 (RFC 9562 section 5.4). */
export function newCorrelationId(): string {
  const from = take(16);
  pool[from + 6] = (pool[from + 6]! & 0x0f) | 0x40;
  pool[from + 8] = (pool[from + 8]! & 0x3f) | 0x80;
  const hex = pool.toString('hex', from, from + 16);
  const id = `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`;
  made.id = id;
  made.traceId = hex;
  return id;
}

/** A random span id: 16 hex digits, never all zero. */
export const newSpanId = (): string => randomHex(8);

/** Ids for our own tracer provider: the trace id that is wanted next, else a random one. */
export function createIdGenerator(): IdGenerator {
  return {
    generateSpanId: newSpanId,
    generateTraceId() {
      const traceId = wanted ?? randomHex(16);
      // A span processor may start a root of its own: that is another trace.
      wanted = undefined;
      return traceId;
    },
  };
}
