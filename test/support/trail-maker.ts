/**
 * Makes small trails for the verifier's tests, whole or tampered with. Written from docs/audit-format.md alone: it shares no
 * code with src/audit, so that a mistake there isn't made twice.
 */
import { createHash, createPublicKey, generateKeyPairSync, type KeyObject, sign } from 'node:crypto';
import { mkdirSync, mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';

type Value = string | number | readonly string[];
type Values = Record<string, Value>;

/** A record before it is encoded. */
export interface MadeRecord {
  event: string;
  body: string;
  time: string;
  severity: number;
  /** Without `audit.integrity.value`. */
  attributes: Values;
  /** `audit.integrity.value`; undefined leaves it out. */
  claim: string | undefined;
}

const sha256 = (...parts: (string | Uint8Array)[]) => {
  const digest = createHash('sha256');
  for (const part of parts) digest.update(part);
  return digest.digest();
};

/** Leaf hash of a record as it is now. */
export function leafOf(record: MadeRecord): Buffer {
  const attributes = Object.fromEntries(Object.entries(record.attributes).sort(([a], [b]) => (a < b ? -1 : 1)));
  const { body, event, severity, time } = record;
  return sha256('\0', JSON.stringify({ attributes, body, event, severity, span: '', time, trace: '' }));
}

/** Root of a tree, by the recursive definition. */
export function rootOf(leaves: readonly Uint8Array[]): Buffer {
  if (leaves.length < 2) return leaves[0] === undefined ? sha256('') : Buffer.from(leaves[0]);
  const split = 2 ** Math.ceil(Math.log2(leaves.length) - 1);
  return sha256(Buffer.of(1), rootOf(leaves.slice(0, split)), rootOf(leaves.slice(split)));
}

/** Hashes of the perfect subtrees, largest first. */
export function subtreesOf(leaves: readonly Uint8Array[]): Buffer[] {
  const result: Buffer[] = [];
  for (let rest = leaves; rest.length > 0; ) {
    const size = 2 ** Math.floor(Math.log2(rest.length));
    result.push(rootOf(rest.slice(0, size)));
    rest = rest.slice(size);
  }
  return result;
}

/** A signing key of a service. */
export class MadeKey {
  readonly name: string;
  readonly vkey: string;
  readonly #private: KeyObject;
  readonly #hash: Buffer;

  constructor(name: string) {
    this.name = name;
    this.#private = generateKeyPairSync('ed25519').privateKey;
    const x = createPublicKey(this.#private).export({ format: 'jwk' }).x as string;
    const bytes = Buffer.concat([Buffer.of(1), Buffer.from(x, 'base64url')]);
    this.#hash = sha256(`${name}\n`, bytes).subarray(0, 4);
    this.vkey = `${name}+${this.#hash.toString('hex')}+${bytes.toString('base64')}`;
  }

  /** The signed note of a checkpoint. */
  note(origin: string, size: number, root: Uint8Array): string {
    const text = `${origin}\n${size}\n${Buffer.from(root).toString('base64')}\n`;
    const signature = Buffer.concat([this.#hash, sign(null, Buffer.from(text), this.#private)]).toString('base64');
    return `${text}\n\u2014 ${this.name} ${signature}\n`;
  }
}

/** One stream. */
export class MadeStream {
  readonly key: MadeKey;
  readonly uuid: string;
  readonly name: string;
  readonly records: MadeRecord[] = [];

  constructor(key: MadeKey, uuid: string) {
    this.key = key;
    this.uuid = uuid;
    this.name = `${key.name}/${uuid}`;
  }

  /** Appends a record; its hash is right. */
  add(event = 'order.placed', attributes: Values = {}): MadeRecord {
    const sequence = this.records.length;
    const record: MadeRecord = {
      event,
      body: `record ${sequence}`,
      time: `${1_763_690_000_000_000_000n + BigInt(sequence)}`,
      severity: 9,
      attributes: {
        'audit.stream': this.name,
        'audit.sequence.number': sequence,
        'audit.record.id': `019aa41e-9e46-7ddb-af71-${String(sequence).padStart(12, '0')}`,
        ...attributes,
      },
      claim: undefined,
    };
    reseal(record);
    this.records.push(record);
    return record;
  }

  addMany(count: number): void {
    for (let i = 0; i < count; i++) this.add('order.placed', { 'trading.quantity': i });
  }

  /** A note over the first `size` records. */
  note(size = this.records.length): string {
    return this.key.note(this.name, size, rootOf(this.records.slice(0, size).map(leafOf)));
  }

  /** Appends a checkpoint record over the records so far, or with a note of one's own. */
  checkpoint(note = this.note()): MadeRecord {
    return this.add('audit.checkpoint', { 'audit.checkpoint': note });
  }

  /** Appends the account of the pruning of a stream's first `size` records. */
  pruned(stream: MadeStream, size: number, note = stream.note(size)): MadeRecord {
    return this.add('audit.segment_pruned', {
      'audit.pruned.stream': stream.name,
      'audit.pruned.tree_size': size,
      'audit.pruned.hashes': subtreesOf(stream.records.slice(0, size).map(leafOf)).map((hash) =>
        hash.toString('base64'),
      ),
      'audit.pruned.checkpoint': note,
    });
  }

  close(): void {
    this.add('audit.stream_closed', { 'audit.closed.reason': 'shutdown' });
    this.checkpoint();
  }
}

/** Makes the claimed hash right again, as somebody would who knows the format. */
export function reseal(record: MadeRecord): void {
  record.claim = leafOf(record).toString('base64');
}

/** A stream of `records` records, checkpoints every ten, closed in order. */
export function makeStream(key: MadeKey, uuid: string, records = 40, opened: Values = {}): MadeStream {
  const stream = new MadeStream(key, uuid);
  stream.add('audit.stream_opened', { 'audit.format.version': 1, ...opened });
  while (stream.records.length < records - 2) {
    if (stream.records.length % 10 === 9) stream.checkpoint();
    else stream.add('order.placed', { 'trading.quantity': stream.records.length });
  }
  stream.close();
  return stream;
}

function anyValue(value: Value): unknown {
  if (typeof value === 'string') return { stringValue: value };
  if (typeof value === 'number') return { intValue: value };
  return { arrayValue: { values: value.map((item) => ({ stringValue: item })) } };
}

function toOtlp(record: MadeRecord): unknown {
  const attributes = Object.entries(record.attributes).map(([key, value]) => ({ key, value: anyValue(value) }));
  const { claim, time, severity, body, event } = record;
  if (claim !== undefined) attributes.push({ key: 'audit.integrity.value', value: { stringValue: claim } });
  return { timeUnixNano: time, severityNumber: severity, body: { stringValue: body }, eventName: event, attributes };
}

/** An OTLP/JSON line of one or more records. */
export function lineOf(...records: readonly MadeRecord[]): string {
  return `${JSON.stringify({ resourceLogs: [{ scopeLogs: [{ logRecords: records.map(toOtlp) }] }] })}\n`;
}

/** A temporary directory; vitest's own clean-up of the system's temporary directory is relied on by nobody: remove it. */
export function makeDirectory(files: Readonly<Record<string, string | Uint8Array>>): string {
  const directory = mkdtempSync(join(tmpdir(), 'risktrail-verify-'));
  for (const [name, content] of Object.entries(files)) {
    const path = join(directory, name);
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, content);
  }
  return directory;
}

/** The name of a segment within a data directory. */
export function segmentOf(stream: MadeStream, first: number): string {
  return `streams/${stream.uuid}/${String(first).padStart(20, '0')}.jsonl`;
}

/** The files of a stream in segments of `size` records, as a journal has them. */
export function journalOf(
  stream: MadeStream,
  records: readonly MadeRecord[] = stream.records,
  size = 15,
): Record<string, string> {
  const files: Record<string, string> = { 'verifier.vkey': `${stream.key.vkey}\n` };
  for (let at = 0; at < records.length; at += size) {
    const part = records.slice(at, at + size);
    const first = part[0]?.attributes['audit.sequence.number'] as number;
    files[segmentOf(stream, first)] = part.map((record) => lineOf(record)).join('');
  }
  return files;
}
