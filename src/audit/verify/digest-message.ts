/** What the main thread and the threads that digest for it tell each other. */
import { HASH_BYTES } from '../proof/tree.ts';
import type { BlockDigest } from './digest.ts';

/** A block to digest. The memory goes to the worker, and comes back with the answer. */
export interface DigestRequest {
  readonly memory: ArrayBuffer;
  readonly length: number;
  readonly cut: boolean;
}

/** The lists of plain records in one piece of memory: numbers, lines, streams, leaf hashes. */
export interface DigestAnswer extends Pick<BlockDigest, 'count' | 'streams' | 'specials' | 'torn' | 'lineCount'> {
  readonly memory: ArrayBuffer;
  readonly packed: ArrayBuffer;
}

const RECORD_BYTES = 8 + 4 + 2 + HASH_BYTES;

/** The lists of a digest, copied into one piece of memory. */
export function pack({ count, sequences, lines, streamAt, leaves }: BlockDigest): ArrayBuffer {
  const packed = new ArrayBuffer(count * RECORD_BYTES);
  new Float64Array(packed, 0, count).set(sequences);
  new Uint32Array(packed, count * 8, count).set(lines);
  new Uint16Array(packed, count * 12, count).set(streamAt);
  new Uint8Array(packed, count * 14, count * HASH_BYTES).set(leaves);
  return packed;
}

/** The digest of an answer. */
export function unpack({ packed, count, streams, specials, torn, lineCount }: DigestAnswer): BlockDigest {
  return {
    count,
    sequences: new Float64Array(packed, 0, count),
    lines: new Uint32Array(packed, count * 8, count),
    streamAt: new Uint16Array(packed, count * 12, count),
    leaves: new Uint8Array(packed, count * 14, count * HASH_BYTES),
    streams,
    specials,
    torn,
    lineCount,
  };
}
