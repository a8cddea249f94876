/** Reads a copy of a trail that lies in files: the journal itself, or what a Collector wrote. */
import { basename, dirname } from 'node:path';
import { decodeHash } from '../proof/note.ts';
import { HASH_BYTES, leafHashBase64 } from '../proof/tree.ts';
import { isSegment, type LineBlock, type LineSink, readBlocks, scanBlock } from '../read/files.ts';
import { type AuditForm, auditForm } from '../record/canonical.ts';
import { type OtlpLogRecord, plainAttributes, visitRecords } from '../record/otlp.ts';
import { BlockDigester, type SpecialRecord } from '../verify/digest.ts';
import type { StreamLedger } from './stream-ledger.ts';

/** How a file's records find their ledger; undefined where a stream is none of those that are reconciled. */
export type LedgerOf = (stream: string) => StreamLedger | undefined;

/** A copy that is read. */
export interface FileCopy {
  /** Its place among the copies of each stream. */
  readonly index: number;
  readonly files: readonly string[];
  /** Whether it is the journal: what it says of times, folders and pruning is kept. */
  readonly isJournal: boolean;
  /** Whether it was read before: numbers that were seen don't count as held twice. */
  readonly again?: boolean;
}

/** The form of a line's record by its place, with its ints as they were written. */
function exactForm(line: string, index: number): AuditForm | undefined {
  const records: OtlpLogRecord[] = [];
  visitRecords(line, (record) => records.push(record), true);
  return auditForm(records[index] as OtlpLogRecord);
}

const NEWLINE = 10;

class CopyReader {
  readonly #copy: FileCopy;
  readonly #ledgerOf: LedgerOf;
  readonly #digester = new BlockDigester();
  #file = '';
  #line = '';
  #index = 0;
  records = 0;

  constructor(copy: FileCopy, ledgerOf: LedgerOf) {
    this.#copy = copy;
    this.#ledgerOf = ledgerOf;
  }

  /** A record of a block in which some are not what their hash says: which hash they bear matters. */
  readonly #visit = (record: OtlpLogRecord): void => {
    let form = auditForm(record);
    if (form?.rounded) form = exactForm(this.#line, this.#index);
    this.#index++;
    if (form?.stream === undefined || form.sequence === undefined) return;
    this.records++;
    const { text, claim, sequence } = form;
    const valid = text !== undefined && form.defect === undefined && leafHashBase64(text) === claim;
    const hash = claim === undefined ? undefined : decodeHash(claim);
    this.#add(this.#ledgerOf(form.stream), sequence, hash, valid);
  };

  readonly #lines: LineSink = {
    line: (text) => {
      this.#line = text;
      this.#index = 0;
      return visitRecords(text, this.#visit);
    },
    // What can't be read is missing: that shows by its number.
    torn: () => {},
  };

  #add(ledger: StreamLedger | undefined, sequence: number, hash: Uint8Array | undefined, valid: boolean): void {
    ledger?.add(this.#copy.index, sequence, hash, valid, this.#copy.again === true);
  }

  #take(block: LineBlock): void {
    const digest = this.#digester.digest(block);
    if (this.#copy.isJournal) this.#learn(block, digest.specials);
    if (digest.specials.some(({ defect }) => defect !== undefined)) {
      scanBlock(block, this.#lines);
      return;
    }
    this.records += digest.count + digest.specials.length;
    const ledgers = digest.streams.map((stream) => this.#ledgerOf(stream));
    const { sequences, leaves, streamAt } = digest;
    for (let i = 0; i < sequences.length; i++) {
      const leaf = leaves.subarray(i * HASH_BYTES, (i + 1) * HASH_BYTES);
      this.#add(ledgers[streamAt[i] as number], sequences[i] as number, leaf, true);
    }
    for (const { stream, sequence, leaf } of digest.specials) {
      const hash = leaf === undefined ? undefined : Buffer.from(leaf, 'base64');
      this.#add(this.#ledgerOf(stream as string), sequence as number, hash, true);
    }
  }

  /** What only the journal tells. Times never go back in a stream, so the ends of a block are enough. */
  #learn({ bytes }: LineBlock, specials: readonly SpecialRecord[]): void {
    const learn = (record: OtlpLogRecord, resource: unknown) => this.#learnFrom(record, resource);
    const first = bytes.indexOf(NEWLINE);
    visitRecords(bytes.toString('utf8', 0, first < 0 ? bytes.length : first), learn);
    const end = bytes.at(-1) === NEWLINE ? bytes.length - 1 : bytes.length;
    const last = end > 0 ? bytes.lastIndexOf(NEWLINE, end - 1) + 1 : 0;
    if (last > 0) visitRecords(bytes.toString('utf8', last, end), learn);
    for (const { stream, fact } of specials) {
      const ledger = stream === undefined ? undefined : this.#ledgerOf(stream);
      if (ledger !== undefined && fact?.closed) ledger.closed = true;
      if (fact?.pruned === undefined || typeof fact.pruned.size !== 'number') continue;
      const pruned = this.#ledgerOf(fact.pruned.stream);
      if (pruned !== undefined) pruned.pruned = Math.max(pruned.pruned, fact.pruned.size);
    }
  }

  #learnFrom(record: OtlpLogRecord, resource: unknown): void {
    const stream = auditForm(record)?.stream;
    const ledger = stream === undefined ? undefined : this.#ledgerOf(stream);
    if (stream === undefined || ledger === undefined) return;
    const timeMs = Number(record.timeUnixNano) / 1e6;
    if (timeMs < ledger.firstMs) ledger.firstMs = timeMs;
    if (timeMs > ledger.lastMs) ledger.lastMs = timeMs;
    if (ledger.service === undefined) {
      const service = plainAttributes(resource)['service.name'];
      ledger.service = typeof service === 'string' ? service : stream.slice(0, stream.lastIndexOf('/'));
    }
    const directory = dirname(this.#file);
    if (isSegment(this.#file) && stream.endsWith(`/${basename(directory)}`)) ledger.directory ??= directory;
  }

  async read(): Promise<void> {
    for (const path of this.#copy.files) {
      this.#file = path;
      for await (const block of readBlocks(path)) if (!block.broken) this.#take(block);
    }
  }
}

/**
 * Reads a copy into the ledgers of its streams.
 * @returns how many audit records it holds, of any stream
 * @throws RiskTrailError FILE_UNREADABLE
 */
export async function readFileCopy(copy: FileCopy, ledgerOf: LedgerOf): Promise<number> {
  const reader = new CopyReader(copy, ledgerOf);
  await reader.read();
  return reader.records;
}
