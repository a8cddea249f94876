/**
 * Reads the records that retention is about to remove, and makes the account of them. Runs in the worker. Every record is
 * hashed again and the tree compared with a signed note: what was changed, or lacks a number, is evidence and is not removed.
 */

import {
  accountHashes,
  noteStatement,
  PRUNED_EVENT,
  type PruneAccount,
  readPruneAccount,
} from '../journal/pruned-state.ts';
import { findPruneAccount } from '../journal/recovery.ts';
import { isBrokenContent, readSegment } from '../journal/segment-content.ts';
import type { SegmentFile } from '../journal/segment-files.ts';
import { CHECKPOINT_EVENT, OPENED_EVENT } from '../journal/system-events.ts';
import { openNote, parseVerifierKey } from '../proof/note.ts';
import { Frontier, leafHash } from '../proof/tree.ts';
import { auditForm } from '../record/canonical.ts';
import { type OtlpLogRecord, plainAttributes, visitRecords } from '../record/otlp.ts';

/** Which records are to be accounted for. */
export interface ScanJob {
  readonly kind: 'scan';
  /** `<service>/<stream UUID>` */
  readonly stream: string;
  /** The stream's segments, from the first that is there on, in order. */
  readonly files: readonly SegmentFile[];
  /** What the stream's earlier pruning said, where that is noted. */
  readonly before: PruneAccount | undefined;
  /** Where it isn't, though something was pruned: the segments of each stream that may tell. */
  readonly tellers: readonly (readonly SegmentFile[])[];
  /**
   * Records below this number go: the account is of the first checkpoint of at least this size. `all`: everything goes, and
   * the account is of the last checkpoint, behind which only checkpoints may stand.
   */
  readonly border: number | 'all';
  /** Verifier keys, one of which must have signed the note. */
  readonly vkeys: readonly string[];
}

/** The account, or why there is none. */
export type ScanResult =
  | {
      readonly kind: 'account';
      readonly account: PruneAccount;
      /** What the records below the account's size say of the pruning of other streams, the newest of each. */
      readonly others: readonly PruneAccount[];
    }
  | { readonly kind: 'refused'; readonly reason: string };

const NEWLINE = 10;

/** Raised inside this file. */
class Refusal extends Error {}

/** Raised inside this file, when nothing more need be read. */
class Found extends Error {}

/** Makes the account that a job asks for. */
export function scanForPruning(job: ScanJob): ScanResult {
  let scan: PruneScan | undefined;
  try {
    scan = new PruneScan(job, job.before ?? findBefore(job));
    for (const file of job.files) scan.read(file);
    return scan.end();
  } catch (error) {
    if (error instanceof Found) return scan!.end();
    if (error instanceof Refusal) return { kind: 'refused', reason: error.message };
    if (isBrokenContent(error)) return { kind: 'refused', reason: `a sealed segment can't be read: ${error}` };
    throw error;
  }
}

/** The largest account of an earlier pruning, looked for in the records. */
function findBefore({ stream, files, tellers }: ScanJob): PruneAccount | undefined {
  if (files[0]?.firstSequence === 0) return undefined;
  return tellers
    .map((one) => findPruneAccount(stream, one))
    .filter((account) => account !== undefined)
    .toSorted((a, b) => a.size - b.size)
    .at(-1);
}

class PruneScan {
  readonly #job: ScanJob;
  readonly #tree: Frontier;
  /** The tree as far as the next note can't be smaller, and the leaves from there on. */
  #base: Frontier;
  #leaves: Buffer[] = [];
  #previous: PruneAccount['previous'];
  #found: { note: string; frontier: Frontier } | undefined;
  /** The newest record that is no checkpoint. */
  #lastPlain = -1;
  /** Accounts of other streams by the number of their record. */
  readonly #others: { sequence: number; account: PruneAccount }[] = [];

  constructor(job: ScanJob, before: PruneAccount | undefined) {
    this.#job = job;
    this.#tree = before === undefined ? new Frontier() : Frontier.from(before.size, accountHashes(before));
    this.#base = this.#tree.clone();
    this.#previous = before?.previous;
  }

  read(file: SegmentFile): void {
    const content = readSegment(file);
    let from = 0;
    for (let at = content.indexOf(NEWLINE); at >= 0; at = content.indexOf(NEWLINE, from)) {
      if (at > from && !visitRecords(content.toString('utf8', from, at), (record) => this.#take(record, file))) {
        throw new Refusal(`${file.name} holds a line that is no record`);
      }
      from = at + 1;
    }
    if (from < content.length) throw new Refusal(`${file.name} ends within a line`);
  }

  #take(record: OtlpLogRecord, file: SegmentFile): void {
    const form = auditForm(record);
    if (form?.text === undefined || form.sequence === undefined || form.stream !== this.#job.stream) {
      throw new Refusal(`${file.name} holds what is no record of this stream`);
    }
    const { sequence } = form;
    const leaf = leafHash(form.text);
    if (leaf.toString('base64') !== form.claim) throw new Refusal(`record ${sequence} was changed`);
    // Passed over by an earlier pruning, or written twice after a disk error.
    if (sequence < this.#tree.size) return;
    if (sequence > this.#tree.size) throw new Refusal(`record ${this.#tree.size} is missing`);
    const { border } = this.#job;
    if (border !== 'all' && sequence === border) this.#rebase();
    this.#tree.append(leaf);
    if (border === 'all' || sequence >= border) this.#leaves.push(leaf);
    this.#note(record, sequence);
  }

  #note(record: OtlpLogRecord, sequence: number): void {
    const { eventName } = record;
    if (eventName !== CHECKPOINT_EVENT) this.#lastPlain = sequence;
    if (eventName === OPENED_EVENT) this.#learnPrevious(record);
    else if (eventName === PRUNED_EVENT) {
      const account = readPruneAccount(plainAttributes(record.attributes));
      if (account !== undefined && account.stream !== this.#job.stream) this.#others.push({ sequence, account });
    } else if (eventName === CHECKPOINT_EVENT) {
      const note = plainAttributes(record.attributes)['audit.checkpoint'];
      if (typeof note === 'string') this.#takeNote(note, sequence);
    }
  }

  #learnPrevious(record: OtlpLogRecord): void {
    const attributes = plainAttributes(record.attributes);
    const stream = attributes['audit.previous.stream'];
    const checkpoint = attributes['audit.previous.checkpoint'];
    if (typeof stream !== 'string') return;
    this.#previous = { stream, ...(typeof checkpoint === 'string' ? { checkpoint } : {}) };
  }

  #takeNote(note: string, sequence: number): void {
    const { border, stream } = this.#job;
    const statement = noteStatement(note);
    if (statement?.origin !== stream || statement.size > sequence) {
      throw new Refusal(`record ${sequence} is no checkpoint of this stream`);
    }
    const { size, root } = statement;
    if (size < this.#base.size || (border !== 'all' && size < border)) return;
    const frontier = this.#base.clone();
    for (const leaf of this.#leaves.slice(0, size - frontier.size)) frontier.append(leaf);
    if (!frontier.root().equals(root)) throw new Refusal(`the records below ${size} are not those that were signed`);
    this.#found = { note, frontier };
    if (border !== 'all') throw new Found();
    this.#leaves = this.#leaves.slice(size - this.#base.size);
    this.#base = frontier.clone();
  }

  /** Nothing below this point is asked for again. */
  #rebase(): void {
    this.#base = this.#tree.clone();
    this.#leaves = [];
  }

  end(): ScanResult {
    const found = this.#found;
    const { stream, border } = this.#job;
    if (found === undefined) return { kind: 'refused', reason: 'no checkpoint covers the records' };
    const { size } = found.frontier;
    const keys = this.#job.vkeys.map(parseVerifierKey).filter((key) => key !== undefined);
    if ('error' in openNote(found.note, keys)) {
      return { kind: 'refused', reason: `the checkpoint of size ${size} is not signed by a key of the data directory` };
    }
    if (border === 'all' && this.#lastPlain >= size) {
      return { kind: 'refused', reason: `the last checkpoint leaves record ${this.#lastPlain} uncovered` };
    }
    const account: PruneAccount = {
      stream,
      size,
      hashes: found.frontier.hashes().map((hash) => hash.toString('base64')),
      note: found.note,
      previous: this.#previous,
    };
    const others = new Map<string, PruneAccount>();
    for (const one of this.#others) {
      if (one.sequence >= size) continue;
      const known = others.get(one.account.stream);
      if (known === undefined || known.size <= one.account.size) others.set(one.account.stream, one.account);
    }
    return { kind: 'account', account, others: [...others.values()] };
  }
}
