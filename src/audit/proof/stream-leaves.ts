/** The leaves of one stream, in order, from files that may hold them in any order and more than once. */
import { basename, dirname } from 'node:path';
import { isSegment, type LineBlock, type LineSink, readBlocks, scanBlock } from '../read/files.ts';
import { auditForm } from '../record/canonical.ts';
import { type OtlpLogRecord, visitRecords } from '../record/otlp.ts';
import { BlockDigester } from '../verify/digest.ts';
import { decodeHash } from './note.ts';
import { type FoundRecord, foundRecord } from './survey.ts';
import { HASH_BYTES, leafHash } from './tree.ts';

const PAGE_LEAVES = 512;
const UUID = /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;

/** Takes leaves in order. */
export interface LeafSink {
  /** Number of the leaf that it takes next. */
  readonly next: number;
  readonly done: boolean;
  append(leaf: Uint8Array): void;
}

interface Page {
  readonly leaves: Uint8Array;
  readonly held: Uint8Array;
}

/**
 * Puts leaves in order: those that come before their turn wait in pages, 33 bytes each. A journal needs none, a Collector's
 * file a few; only a stream whose first records come last is held as a whole.
 */
class LeafOrder {
  readonly #sink: LeafSink;
  readonly #pages = new Map<number, Page>();

  constructor(sink: LeafSink) {
    this.#sink = sink;
  }

  put(sequence: number, leaf: Uint8Array): void {
    const sink = this.#sink;
    if (sequence < sink.next) return;
    if (sequence > sink.next) {
      this.#hold(sequence, leaf);
      return;
    }
    sink.append(leaf);
    if (this.#pages.size > 0) this.#release();
  }

  #hold(sequence: number, leaf: Uint8Array): void {
    const start = sequence - (sequence % PAGE_LEAVES);
    let page = this.#pages.get(start);
    if (page === undefined) {
      page = { leaves: new Uint8Array(PAGE_LEAVES * HASH_BYTES), held: new Uint8Array(PAGE_LEAVES) };
      this.#pages.set(start, page);
    }
    const index = sequence - start;
    if (page.held[index] === 1) return;
    page.held[index] = 1;
    page.leaves.set(leaf, index * HASH_BYTES);
  }

  #release(): void {
    const sink = this.#sink;
    while (!sink.done) {
      const start = sink.next - (sink.next % PAGE_LEAVES);
      const page = this.#pages.get(start);
      const index = sink.next - start;
      if (page?.held[index] !== 1) break;
      sink.append(page.leaves.subarray(index * HASH_BYTES, (index + 1) * HASH_BYTES));
      if (index === PAGE_LEAVES - 1) this.#pages.delete(start);
    }
  }
}

/** Whether a file can hold records of a stream: a segment in the folder of another one can't. */
function mayHold(path: string, stream: string): boolean {
  const folder = basename(dirname(path));
  return !isSegment(path) || !UUID.test(folder) || stream.endsWith(`/${folder}`);
}

/** Hands the leaves of one stream in a block to their order. */
class BlockFeed {
  readonly #stream: string;
  readonly #sink: LeafSink;
  readonly #order: LeafOrder;
  readonly #wanted: number | undefined;
  readonly #digester = new BlockDigester();
  #found: FoundRecord | undefined;

  constructor(stream: string, sink: LeafSink, wanted: number | undefined) {
    this.#stream = stream;
    this.#sink = sink;
    this.#order = new LeafOrder(sink);
    this.#wanted = wanted;
  }

  /** The wanted record, as far as it was come upon. */
  get found(): FoundRecord | undefined {
    return this.#found;
  }

  get done(): boolean {
    return this.#sink.done && (this.#wanted === undefined || this.#found?.valid === true);
  }

  take(block: LineBlock): void {
    if (block.broken) return;
    const digest = this.#digester.digest(block);
    const { sequences, leaves, streamAt } = digest;
    const mine = digest.streams.indexOf(this.#stream);
    const specials = digest.specials.filter(({ stream }) => stream === this.#stream);
    const hasWanted =
      specials.some(({ sequence }) => sequence === this.#wanted) ||
      sequences.some((sequence, index) => sequence === this.#wanted && streamAt[index] === mine);
    // Of a record that was changed the digest doesn't tell what it claims to be.
    if (hasWanted || specials.some(({ defect }) => defect !== undefined)) {
      scanBlock(block, this.#lines);
      return;
    }
    for (const { sequence, leaf } of specials) {
      if (sequence !== undefined && leaf !== undefined) this.#order.put(sequence, Buffer.from(leaf, 'base64'));
    }
    for (let i = 0; i < sequences.length && !this.#sink.done; i++) {
      if (streamAt[i] !== mine) continue;
      this.#order.put(sequences[i] as number, leaves.subarray(i * HASH_BYTES, (i + 1) * HASH_BYTES));
    }
  }

  readonly #visit = (record: OtlpLogRecord): void => {
    const form = auditForm(record);
    if (form?.stream !== this.#stream || form.sequence === undefined) return;
    if (form.sequence === this.#wanted && this.#found?.valid !== true) {
      this.#found = foundRecord(record, form) ?? this.#found;
    }
    if (this.#sink.done || form.sequence < this.#sink.next) return;
    const claim = form.claim === undefined ? undefined : decodeHash(form.claim);
    const leaf = claim ?? (form.text === undefined ? undefined : leafHash(form.text));
    if (leaf !== undefined) this.#order.put(form.sequence, leaf);
  };

  readonly #lines: LineSink = { line: (text) => visitRecords(text, this.#visit), torn: () => {} };
}

/**
 * Hands the leaves of a stream to a sink, until that is done. The leaf of a record that isn't what its hash says is the hash:
 * whether it stood in the tree shows when the tree's root is compared.
 * @param wanted number of a record that is to be returned: of several copies one that is what its hash says
 * @throws RiskTrailError FILE_UNREADABLE
 */
export async function feedLeaves(
  files: readonly string[],
  stream: string,
  sink: LeafSink,
  wanted?: number,
): Promise<FoundRecord | undefined> {
  const feed = new BlockFeed(stream, sink, wanted);
  for (const path of files) {
    if (!mayHold(path, stream)) continue;
    for await (const block of readBlocks(path)) {
      feed.take(block);
      if (feed.done) return feed.found;
    }
  }
  return feed.found;
}
