/** Streams for tests of shipping: the lines that a journal writes, in a stream's folder, without keys or checkpoints. */
import { appendFileSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { zstdCompressSync } from 'node:zlib';
import type { DurablePosition } from '../../src/audit/journal/journal-types.ts';
import { segmentName } from '../../src/audit/journal/segment-files.ts';
import { STREAMS_DIRECTORY, streamDirectory } from '../../src/audit/journal/streams.ts';
import { type AuditInput, RecordEncoder } from '../../src/audit/record/encode.ts';
import { testEvent } from './journal.ts';

/** Writes the files of one stream. */
export class MadeStream {
  readonly id: string;
  readonly stream: string;
  readonly directory: string;
  sequence = 0;
  #encoder: RecordEncoder;
  #file = '';
  #bytes = 0;

  /** @param index streams are in the order of their indexes */
  constructor(dataDir: string, index = 0) {
    this.id = `0193f6a0-1111-7aaa-8bbb-${String(index).padStart(12, '0')}`;
    this.stream = `bot/${this.id}`;
    this.directory = streamDirectory(dataDir, this.id);
    mkdirSync(join(dataDir, STREAMS_DIRECTORY), { recursive: true });
    mkdirSync(join(this.directory, 'state'), { recursive: true });
    this.#encoder = this.#createEncoder('1');
    this.nextSegment();
  }

  #createEncoder(version: string): RecordEncoder {
    const resource = { 'service.name': 'bot', 'service.version': version };
    return new RecordEncoder({ stream: this.stream, resource, scope: { name: 'risktrail', version: '0.1.0' } });
  }

  /** From here on the lines have another resource. */
  changeResource(version: string): this {
    this.#encoder = this.#createEncoder(version);
    return this;
  }

  nextSegment(copy = 0): this {
    this.#file = segmentName(this.sequence, copy);
    this.#bytes = 0;
    return this;
  }

  /** Appends records. */
  add(count: number, event: (index: number) => Partial<AuditInput> = () => ({})): this {
    const chunks: Buffer[] = [];
    for (let i = 0; i < count; i++)
      chunks.push(this.line(testEvent(this.sequence, event(this.sequence)), this.sequence++));
    return this.addBytes(Buffer.concat(chunks));
  }

  /** A record's line. */
  line(event: AuditInput, sequence: number): Buffer {
    const { line, lineBytes } = this.#encoder.encode(event, sequence);
    return Buffer.from(line.subarray(0, lineBytes));
  }

  addBytes(bytes: Buffer): this {
    appendFileSync(join(this.directory, this.#file), bytes);
    this.#bytes += bytes.length;
    return this;
  }

  /** Compresses the current segment, and begins another with the next record. */
  seal(): this {
    const path = join(this.directory, this.#file);
    writeFileSync(`${path}.zst`, zstdCompressSync(readFileSync(path)));
    rmSync(path);
    return this.nextSegment();
  }

  /** What a journal would say was synced. */
  position(): DurablePosition {
    const { directory, stream, sequence } = this;
    return { directory, stream, file: this.#file, bytes: this.#bytes, sequence };
  }
}

/** Numbers from 0 to below `end`. */
export const upTo = (end: number): number[] => Array.from({ length: end }, (_, i) => i);
