/**
 * Reads the log records of a trail, from a journal that is being written as well as from files of a Collector. Nothing is
 * verified here: that is `verifyTrail`'s part.
 */

import { type OtlpLogRecord, type PlainAttributes, plainAttributes, plainValue, visitRecords } from '../record/otlp.ts';
import { findTrailFiles, type LineBlock, readBlocks, scanBlock, type TornLine } from './files.ts';

/**
 * A log record as it was read. Records that are no audit records have no `stream` and no `sequence`; they are handed out
 * too, so that a query can show whatever a Collector's file holds.
 */
export interface AuditRecord {
  /** `audit.stream`. */
  readonly stream: string | undefined;
  /** `audit.sequence.number`. */
  readonly sequence: number | undefined;
  /** `audit.record.id`. */
  readonly recordId: string | undefined;
  /** `audit.integrity.value`: what the record claims, unchecked. */
  readonly integrity: string | undefined;
  /** Nanoseconds since the Unix epoch, in decimal; "0" where unset. */
  readonly time: string;
  /** 0 where unset. */
  readonly severityNumber: number;
  readonly severityText: string;
  /** The sentence; a body that is no string stands as JSON. */
  readonly body: string;
  readonly eventName: string;
  /** Every attribute of the record, those named `audit.*` included. */
  readonly attributes: PlainAttributes;
  /** Lower-case hex, "" where unset. */
  readonly traceId: string;
  readonly spanId: string;
  /** Attributes of the resource that the record came from. */
  readonly resource: PlainAttributes;
  readonly file: string;
  /** From 1. */
  readonly line: number;
}

const NEWLINE = 10;

/** How records are read. */
export interface ReadOptions {
  /** Told of each line or compressed frame that can't be read; reading goes on behind it. */
  readonly onTorn?: (torn: TornLine) => void;
  /** Only lines that hold one of these texts, as they stand there, are looked at; of others not even whether they are torn. */
  readonly texts?: readonly string[];
  /** Told of each file that was read to its end. */
  readonly onFileEnd?: (file: string) => void;
}

const text = (value: unknown): string => (typeof value === 'string' ? value : '');
const hexId = (value: unknown): string => {
  const id = text(value).toLowerCase();
  return /^0*$/.test(id) ? '' : id;
};

function bodyOf(value: unknown): string {
  const body = plainValue(value);
  return typeof body === 'string' ? body : body === null ? '' : JSON.stringify(body);
}

/** A record as the queries see it. */
export function toAuditRecord(
  record: OtlpLogRecord,
  resource: PlainAttributes,
  file: string,
  line: number,
): AuditRecord {
  const attributes = plainAttributes(record.attributes);
  const named = (name: string): string | undefined => {
    const value = attributes[name];
    return typeof value === 'string' ? value : undefined;
  };
  const sequence = attributes['audit.sequence.number'];
  const time = record.timeUnixNano;
  return {
    stream: named('audit.stream'),
    sequence: typeof sequence === 'number' ? sequence : undefined,
    recordId: named('audit.record.id'),
    integrity: named('audit.integrity.value'),
    time: typeof time === 'string' || typeof time === 'number' ? String(time) : '0',
    severityNumber: typeof record.severityNumber === 'number' ? record.severityNumber : 0,
    severityText: text(record.severityText),
    body: bodyOf(record.body),
    eventName: text(record.eventName),
    attributes,
    traceId: hexId(record.traceId),
    spanId: hexId(record.spanId),
    resource,
    file,
    line,
  };
}

/** The records of one block. The resource is decoded once for neighbours that share it. */
function recordsOf(block: LineBlock, file: string, onTorn: ReadOptions['onTorn']): AuditRecord[] {
  const records: AuditRecord[] = [];
  scanBlock(block, {
    line(text, number) {
      let source: unknown;
      let resource: PlainAttributes = {};
      return visitRecords(text, (record, attributes) => {
        if (attributes !== source) {
          source = attributes;
          resource = plainAttributes(attributes);
        }
        records.push(toAuditRecord(record, resource, file, number));
      });
    },
    torn: (line, kind) => onTorn?.({ file, line, kind }),
  });
  return records;
}

/**
 * Reads the records of files and directories, a batch of about a megabyte of text at a time: file after file in the order of
 * their paths, each from its beginning. Asynchronous because compressed segments can be read as a stream in no other way;
 * batches keep the cost of that away from the records.
 * @example
 * for await (const batch of readRecords(['risktrail-data'])) for (const record of batch) console.log(record.eventName);
 * @throws RiskTrailError PATH_NOT_FOUND, FILE_UNREADABLE
 */
export async function* readRecords(
  paths: readonly string[],
  options: ReadOptions = {},
): AsyncGenerator<AuditRecord[], void, undefined> {
  const { records } = await findTrailFiles(paths);
  for (const listed of records) {
    for await (const block of readBlocks(listed)) {
      const wanted = options.texts === undefined ? block : linesWith(block, options.texts);
      const batch = recordsOf(wanted, listed, options.onTorn);
      if (batch.length > 0) yield batch;
    }
    options.onFileEnd?.(listed);
  }
}

/** The lines of a block that hold one of some texts; their numbers are not kept. */
function linesWith(block: LineBlock, texts: readonly string[]): LineBlock {
  const { bytes } = block;
  if (block.broken) return block;
  const lines: Buffer[] = [];
  let end = 0;
  for (let at = nextOf(bytes, texts, 0); at >= 0; at = nextOf(bytes, texts, end)) {
    const start = bytes.lastIndexOf(NEWLINE, at) + 1;
    const newline = bytes.indexOf(NEWLINE, at);
    end = newline < 0 ? bytes.length : newline + 1;
    lines.push(bytes.subarray(start, end));
  }
  return { ...block, bytes: lines.length === 1 ? lines[0]! : Buffer.concat(lines) };
}

/** Where the first of some texts stands behind a place; -1 where none does. */
function nextOf(bytes: Buffer, texts: readonly string[], from: number): number {
  let first = -1;
  for (const text of texts) {
    const at = bytes.indexOf(text, from, 'latin1');
    if (at >= 0 && (first < 0 || at < first)) first = at;
  }
  return first;
}
