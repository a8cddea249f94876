/**
 * Hashes of texts as they stand within the quotes of a line. They choose the lines to look at and are never more than that:
 * whoever looks compares the text itself.
 */

/** What an id is the id of: the same text as another has another hash. */
export const ID_KIND = { record: 1, order: 2, position: 3, trace: 4 } as const;

/** One of {@link ID_KIND}. */
export type IdKind = (typeof ID_KIND)[keyof typeof ID_KIND];

/** A text as it stands within the quotes of a line of a journal. */
export const inLine = (text: string): Buffer => Buffer.from(JSON.stringify(text).slice(1, -1));

/** 32 bits of an id: multiplication and shift, four bytes at a time, begun with its kind. */
export function idHash(kind: IdKind, view: DataView, from: number, to: number): number {
  let hash = Math.imul(0x811c9dc5 ^ kind, 0x01000193);
  let i = from;
  for (; i + 4 <= to; i += 4) {
    hash = Math.imul(hash ^ view.getInt32(i, true), 0x9e3779b1);
    hash ^= hash >>> 15;
  }
  for (; i < to; i++) {
    hash = Math.imul(hash ^ view.getUint8(i), 0x85ebca77);
    hash ^= hash >>> 13;
  }
  return Math.imul(hash, 0xc2b2ae3d) >>> 0;
}

/**
 * 53 bits of a text, which a number holds exactly: two lanes of multiplication, mixed at the end as MurmurHash3 does
 * (https://github.com/aappleby/smhasher/blob/master/src/MurmurHash3.cpp). Never 0, which stands for no text.
 */
export function textHash(bytes: Uint8Array, from: number, to: number): number {
  let low = 0x9747b28c;
  let high = 0x5bd1e995;
  for (let i = from; i < to; i++) {
    const byte = bytes[i] as number;
    low = Math.imul(low ^ byte, 0x9e3779b1);
    high = Math.imul(high ^ byte, 0x85ebca77);
  }
  const mixed = Math.imul(low ^ (low >>> 16), 0x85ebca6b) ^ Math.imul(high ^ (high >>> 13), 0xc2b2ae35);
  const other = Math.imul(high ^ (high >>> 16), 0xc2b2ae35) ^ Math.imul(mixed ^ (mixed >>> 13), 0x27d4eb2f);
  return (other & 0x1fffff) * 2 ** 32 + (mixed >>> 0) || 1;
}

/** {@link textHash} of a text; 0 for none. */
export function hashOf(text: string | null | undefined): number {
  if (text === null || text === undefined) return 0;
  const bytes = inLine(text);
  return textHash(bytes, 0, bytes.length);
}
