/**
 * The words that a journal and its writer thread share. The journal puts bytes into the ring and raises LIMIT; the thread
 * writes what stands between HEAD and LIMIT to the file FD, in order, and raises HEAD after each write. Both count bytes
 * from the ring's making on; the place in the ring is the count modulo its size.
 *
 * FD changes only while HEAD equals LIMIT. A thread that is BUSY may be within a write; before it sets BUSY it looks at
 * COMMAND, after it has set it, again: so once the journal has commanded PARK and then sees the thread not BUSY, the thread
 * touches no file until it is commanded to RUN.
 */

/** Places of the 32-bit words. */
export const WORD = Object.freeze({
  /** Changed by the journal with each change of another word: what the thread sleeps on. */
  BELL: 0,
  COMMAND: 1,
  BUSY: 2,
  FD: 3,
  /** Changed by the thread after each write and each time it parks: what a journal sleeps on that must not return. */
  TURN: 4,
});

/** Places of the 64-bit words. */
export const COUNT = Object.freeze({ HEAD: 0, LIMIT: 1 });

/** Values of COMMAND. */
export const COMMAND = Object.freeze({ RUN: 0, PARK: 1, QUIT: 2 });

const WORD_BYTES = 32;
const COUNT_BYTES = 16;

/** The shared words as both sides see them. */
export interface RingControl {
  readonly words: Int32Array;
  readonly counts: BigInt64Array;
}

/** Memory for the words. */
export function createControlMemory(): SharedArrayBuffer {
  return new SharedArrayBuffer(WORD_BYTES + COUNT_BYTES);
}

/** The words in that memory. */
export function ringControl(memory: SharedArrayBuffer): RingControl {
  return {
    words: new Int32Array(memory, 0, WORD_BYTES / 4),
    counts: new BigInt64Array(memory, WORD_BYTES, COUNT_BYTES / 8),
  };
}

/** What a writer thread is given. */
export interface WriterThreadData {
  readonly control: SharedArrayBuffer;
  readonly bytes: SharedArrayBuffer;
  readonly fs: { readonly module: string; readonly data: unknown } | undefined;
}

/** What a writer thread tells: how long a write took, or why it gave up and parked. */
export type WriterThreadMessage =
  | { readonly kind: 'wrote'; readonly tookMs: number }
  | { readonly kind: 'parked' }
  | { readonly kind: 'failed'; readonly code: string; readonly message: string };
