/**
 * The part of a verification that needs no other record: lines are read, their records hashed and held against what they claim.
 * It is the same in the main thread and in workers, and what it makes of a block of lines can be sent between them.
 */
import { isUtf8 } from 'node:buffer';
import { randomUUID } from 'node:crypto';
import { HASH_BYTES, leafHashBase64 } from '../proof/tree.ts';
import { type LineSink, scanBlock } from '../read/files.ts';
import { type AuditForm, auditForm } from '../record/canonical.ts';
import { type OtlpLogRecord, type PlainAttributes, plainAttributes, visitRecords } from '../record/otlp.ts';
import { LineScanner } from './line-scanner.ts';

/** What a record says of its own stream and of others. */
export interface StreamFact {
  readonly closed: boolean;
  /** `audit.previous.*`. */
  readonly previous: { readonly stream: string; readonly note: string | undefined } | undefined;
  /** `audit.pruned.*`, unchecked. */
  readonly pruned:
    | { readonly stream: string; readonly size: unknown; readonly hashes: unknown; readonly note: unknown }
    | undefined;
}

/** An audit record that is invalid, or says more than that it is there. */
export interface SpecialRecord {
  /** How many plain records of the block stand in front of it. */
  readonly after: number;
  /** Lines of the block in front of its line. */
  readonly line: number;
  readonly stream: string | undefined;
  readonly sequence: number | undefined;
  /** Recomputed leaf hash in base64; undefined where the record has no canonical form. */
  readonly leaf: string | undefined;
  /** Why it is invalid, in words. */
  readonly defect: string | undefined;
  readonly isCheckpoint: boolean;
  /** `audit.checkpoint` of a checkpoint record. */
  readonly note: string | undefined;
  readonly fact: StreamFact | undefined;
}

/** Lines of a block that are not what they should be. */
export interface TornInBlock {
  /** Lines of the block in front of it. */
  readonly line: number;
  readonly kind: 'line' | 'tail' | 'frame';
}

/** What became of a block of lines. */
export interface BlockDigest {
  /** How many plain records there are: valid audit records that need no further look. */
  readonly count: number;
  /** Of each plain record its number, … */
  readonly sequences: Float64Array;
  /** … the lines of the block in front of its line, … */
  readonly lines: Uint32Array;
  /** … its stream, by index in `streams`, … */
  readonly streamAt: Uint16Array;
  /** … and its leaf hash. */
  readonly leaves: Uint8Array;
  readonly streams: readonly string[];
  readonly specials: readonly SpecialRecord[];
  readonly torn: readonly TornInBlock[];
  /** Lines in the block. */
  readonly lineCount: number;
}

/** The lines to digest. */
export interface LinesOfBlock {
  /** Whole lines; the last one without its newline where `cut`. */
  readonly bytes: Buffer;
  readonly cut: boolean;
}

const NEWLINE = 10;
const RECORD_START = '"logRecords":[';
const COMMA = 0x2c;
const CLOSE_LIST = 0x5d;
/** Beginnings of lines that are kept: one for each resource in turn. */
const MAX_HEADS = 16;
const MAX_TAILS = 4;
/** Streams of one block; what is more goes the general way. */
const MAX_STREAMS = 65_535;
/** Stands for a record where a line's beginning and end are tried: nobody can have written it. */
const PROBE = randomUUID();

/** What stands in front of the records of a line, and what has been seen behind them. */
interface LineHead {
  readonly bytes: Buffer;
  readonly text: string;
  readonly tails: Buffer[];
}

const textAt = (attributes: PlainAttributes, name: string): string | undefined => {
  const value = attributes[name];
  return typeof value === 'string' && value !== '' ? value : undefined;
};

/** What a record of our own family says beyond being there; undefined where it says nothing. */
function factOf(event: string, attributes: PlainAttributes): StreamFact | undefined {
  const closed = event === 'audit.stream_closed';
  const previous = textAt(attributes, 'audit.previous.stream');
  const pruned = event === 'audit.segment_pruned' ? textAt(attributes, 'audit.pruned.stream') : undefined;
  if (!closed && previous === undefined && pruned === undefined) return undefined;
  return {
    closed,
    previous:
      previous === undefined ? undefined : { stream: previous, note: textAt(attributes, 'audit.previous.checkpoint') },
    pruned:
      pruned === undefined
        ? undefined
        : {
            stream: pruned,
            size: attributes['audit.pruned.tree_size'],
            hashes: attributes['audit.pruned.hashes'],
            note: attributes['audit.pruned.checkpoint'],
          },
  };
}

/** The form of a line's record by its place, with its ints as they were written. */
function exactForm(line: string, index: number): AuditForm | undefined {
  const records: OtlpLogRecord[] = [];
  visitRecords(line, (record) => records.push(record), true);
  return auditForm(records[index] as OtlpLogRecord);
}

/** Digests blocks. What it hands out is filled again by the next block. */
export class BlockDigester {
  readonly #scanner = new LineScanner();
  readonly #quick: boolean;
  #heads: LineHead[] = [];
  #sequences = new Float64Array(1024);
  #lines = new Uint32Array(1024);
  #streamAt = new Uint16Array(1024);
  #leaves = new Uint8Array(1024 * HASH_BYTES);
  #count = 0;
  #streams: string[] = [];
  #streamIndexes = new Map<string, number>();
  /** The stream of the last plain record: its name's bytes and its index. */
  #streamBytes = Buffer.alloc(0);
  #streamIndex = -1;
  #specials: SpecialRecord[] = [];
  #torn: TornInBlock[] = [];

  /** @param quick whether lines of known form are read the quick way, which comes to the same */
  constructor(quick = true) {
    this.#quick = quick;
  }

  /** Reads the lines of a block and hashes their records. */
  digest({ bytes, cut }: LinesOfBlock): BlockDigest {
    this.#count = 0;
    this.#streams = [];
    this.#streamIndexes.clear();
    this.#streamIndex = -1;
    this.#specials = [];
    this.#torn = [];
    let line = 0;
    let at = 0;
    // A cut line, the only one without a newline, stands alone in its block.
    if (this.#quick && !cut && isUtf8(bytes)) {
      this.#scanner.begin(bytes);
      for (; at < bytes.length; line++) {
        const end = this.#quickLine(bytes, at, line);
        if (end > 0) {
          at = end;
          continue;
        }
        const newline = bytes.indexOf(NEWLINE, at);
        this.#general(bytes.subarray(at, newline + 1), line, false);
        this.#learnHead(bytes, at, newline);
        at = newline + 1;
      }
    } else {
      line = this.#general(bytes, 0, cut);
    }
    const count = this.#count;
    return {
      count,
      sequences: this.#sequences.subarray(0, count),
      lines: this.#lines.subarray(0, count),
      streamAt: this.#streamAt.subarray(0, count),
      leaves: this.#leaves.subarray(0, count * HASH_BYTES),
      streams: this.#streams,
      specials: this.#specials,
      torn: this.#torn,
      lineCount: line,
    };
  }

  /** @returns the index behind the line; 0 where it must be read the general way, and nothing has come of it */
  #quickLine(bytes: Buffer, start: number, line: number): number {
    const head = this.#headAt(bytes, start);
    if (head === undefined) return 0;
    const scanner = this.#scanner;
    const count = this.#count;
    const specials = this.#specials.length;
    let at = start + head.bytes.length;
    for (;;) {
      const end = scanner.record(at);
      if (end < 0) break;
      if (scanner.kind === 'plain') {
        if (!this.#addPlain(bytes, line)) break;
      } else if (scanner.kind === 'special') {
        const record = JSON.parse(bytes.toString('utf8', at, end)) as OtlpLogRecord;
        const form = auditForm(record);
        if (form?.rounded) break;
        if (form !== undefined) this.#add(record, form, line);
      }
      at = end + 1;
      if (bytes[end] === COMMA) continue;
      if (bytes[end] !== CLOSE_LIST) break;
      const newline = this.#tailEnd(bytes, at, head);
      if (newline > 0) return newline + 1;
      break;
    }
    this.#count = count;
    this.#specials.length = specials;
    return 0;
  }

  /** The known beginning of a line. */
  #headAt(bytes: Buffer, start: number): LineHead | undefined {
    const heads = this.#heads;
    for (let i = 0; i < heads.length; i++) {
      const head = heads[i] as LineHead;
      const { length } = head.bytes;
      if (start + length > bytes.length || head.bytes.compare(bytes, start, start + length) !== 0) continue;
      if (i > 0) {
        heads.splice(i, 1);
        heads.unshift(head);
      }
      return head;
    }
    return undefined;
  }

  /** Index of the newline that ends the line, where what stands in front of it is known to end a line of this beginning. */
  #tailEnd(bytes: Buffer, at: number, head: LineHead): number {
    for (const tail of head.tails) {
      const end = at + tail.length;
      if (bytes[end] === NEWLINE && tail.compare(bytes, at, end) === 0) return end;
    }
    const newline = bytes.indexOf(NEWLINE, at);
    const tail = Buffer.from(bytes.subarray(at, newline));
    if (head.tails.length >= MAX_TAILS || !isFrame(head.text, tail.toString('utf8'))) return -1;
    head.tails.push(tail);
    return newline;
  }

  #learnHead(bytes: Buffer, start: number, newline: number): void {
    const found = bytes.indexOf(RECORD_START, start, 'latin1');
    if (found < 0 || found >= newline) return;
    const end = found + RECORD_START.length;
    const head = bytes.subarray(start, end);
    if (this.#heads.some((one) => one.bytes.equals(head))) return;
    if (this.#heads.length >= MAX_HEADS) this.#heads.pop();
    this.#heads.unshift({ bytes: Buffer.from(head), text: head.toString('utf8'), tails: [] });
  }

  /** Lines in the general way. @returns how many there are */
  #general(bytes: Buffer, firstLine: number, cut: boolean): number {
    let line = firstLine;
    let text = '';
    let index = 0;
    const visit = (record: OtlpLogRecord) => {
      let form = auditForm(record);
      if (form?.rounded) form = exactForm(text, index);
      index++;
      if (form !== undefined) this.#add(record, form, line);
    };
    const sink: LineSink = {
      line(one, number) {
        text = one;
        line = number;
        index = 0;
        return visitRecords(one, visit);
      },
      torn: (number, kind) => void this.#torn.push({ line: number, kind }),
    };
    return scanBlock({ bytes, firstLine, cut, broken: false }, sink) - firstLine;
  }

  /** A record that was read the general way. */
  #add(record: OtlpLogRecord, form: AuditForm, line: number): void {
    const { stream, sequence } = form;
    const leaf = form.text === undefined ? undefined : leafHashBase64(form.text);
    const defect = form.defect ?? (leaf === form.claim ? undefined : 'the record is not what its hash says');
    const event = record.eventName;
    const own =
      typeof event === 'string' && event.startsWith('audit.') ? plainAttributes(record.attributes) : undefined;
    const isCheckpoint = event === 'audit.checkpoint';
    const fact = own === undefined ? undefined : factOf(event as string, own);
    if (defect === undefined && !isCheckpoint && fact === undefined) {
      const at = this.#indexOf(stream as string);
      if (at >= 0) {
        this.#grow();
        const count = this.#count++;
        this.#sequences[count] = sequence as number;
        this.#lines[count] = line;
        this.#streamAt[count] = at;
        Buffer.from(this.#leaves.buffer, count * HASH_BYTES, HASH_BYTES).write(leaf as string, 'base64');
        return;
      }
    }
    const note = isCheckpoint ? textAt(own as PlainAttributes, 'audit.checkpoint') : undefined;
    this.#specials.push({ after: this.#count, line, stream, sequence, leaf, defect, isCheckpoint, note, fact });
  }

  /** The record that the scanner has just read. @returns false where its stream is one too many */
  #addPlain(bytes: Buffer, line: number): boolean {
    const { streamStart, streamEnd, sequence, leaf } = this.#scanner;
    if (this.#streamIndex < 0 || this.#streamBytes.compare(bytes, streamStart, streamEnd) !== 0) {
      const index = this.#indexOf(bytes.toString('utf8', streamStart, streamEnd));
      if (index < 0) return false;
      this.#streamIndex = index;
      this.#streamBytes = Buffer.from(bytes.subarray(streamStart, streamEnd));
    }
    this.#grow();
    const count = this.#count++;
    this.#sequences[count] = sequence;
    this.#lines[count] = line;
    this.#streamAt[count] = this.#streamIndex;
    this.#leaves.set(leaf, count * HASH_BYTES);
    return true;
  }

  #indexOf(stream: string): number {
    let index = this.#streamIndexes.get(stream);
    if (index === undefined) {
      index = this.#streams.length;
      if (index >= MAX_STREAMS) return -1;
      this.#streams.push(stream);
      this.#streamIndexes.set(stream, index);
    }
    return index;
  }

  #grow(): void {
    if (this.#count < this.#sequences.length) return;
    const room = this.#count * 2;
    const grown = <T extends { set(from: T): void }>(next: T, before: T): T => {
      next.set(before);
      return next;
    };
    this.#sequences = grown(new Float64Array(room), this.#sequences);
    this.#lines = grown(new Uint32Array(room), this.#lines);
    this.#streamAt = grown(new Uint16Array(room), this.#streamAt);
    this.#leaves = grown(new Uint8Array(room * HASH_BYTES), this.#leaves);
  }
}

/**
 * Whether records, and nothing but records, can stand between these two parts of a line: what parses to a lone record there for
 * one record, parses to a list of records for every list, since both parts stay as they are.
 */
function isFrame(head: string, tail: string): boolean {
  let found = 0;
  let probes = 0;
  const whole = visitRecords(`${head}{"eventName":"${PROBE}"}]${tail}`, (record) => {
    found++;
    if (record.eventName === PROBE) probes++;
  });
  return whole && found === 1 && probes === 1;
}
