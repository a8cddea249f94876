import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { zstdCompressSync } from 'node:zlib';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { TornLine } from '../../../src/audit/read/files.ts';
import { type AuditRecord, readRecords } from '../../../src/audit/read/reader.ts';

let directory = '';
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'risktrail-reader-'));
});
afterEach(() => rmSync(directory, { recursive: true }));

const line = (...records: object[]) =>
  JSON.stringify({
    resourceLogs: [
      {
        resource: { attributes: [{ key: 'service.name', value: { stringValue: 'bot' } }] },
        scopeLogs: [{ logRecords: records }],
      },
    ],
  });
const named = (name: string) => ({ body: { stringValue: name } });

async function read(paths: readonly string[]): Promise<{ records: AuditRecord[]; torn: TornLine[]; batches: number }> {
  const records: AuditRecord[] = [];
  const torn: TornLine[] = [];
  let batches = 0;
  for await (const batch of readRecords(paths, { onTorn: (one) => torn.push(one) })) {
    batches++;
    records.push(...batch);
  }
  return { records, torn, batches };
}

describe('reading records', () => {
  it('hands out every log record with its plain values, file and line', async () => {
    const value = (any: object) => ({ key: 'v', value: any });
    const file = join(directory, 'a.jsonl');
    const record = {
      timeUnixNano: '1763690000000000001',
      severityNumber: 9,
      severityText: 'INFO',
      body: { stringValue: 'Order placed' },
      eventName: 'order.placed',
      traceId: '0AF7651916CD43DD8448EB211C80319C',
      spanId: '0000000000000000',
      attributes: [
        { key: 'audit.stream', value: { stringValue: 'bot/1' } },
        { key: 'audit.sequence.number', value: { intValue: '7' } },
        { key: 'audit.record.id', value: { stringValue: 'id' } },
        { key: 'audit.integrity.value', value: { stringValue: 'hash' } },
        { key: 'list', value: { arrayValue: { values: [{ intValue: '1' }, { doubleValue: 'NaN' }, {}] } } },
        { key: 'map', value: { kvlistValue: { values: [value({ boolValue: true })] } } },
        { key: '__proto__', value: { stringValue: 'harmless' } },
      ],
    };
    writeFileSync(file, `\n${line(record, { body: { kvlistValue: { values: [value({ intValue: 1 })] } } })}\n`);
    const { records } = await read([file]);
    expect(records).toHaveLength(2);
    const [first, second] = records as [AuditRecord, AuditRecord];
    expect(first).toMatchObject({
      stream: 'bot/1',
      sequence: 7,
      recordId: 'id',
      integrity: 'hash',
      time: '1763690000000000001',
      severityNumber: 9,
      severityText: 'INFO',
      body: 'Order placed',
      eventName: 'order.placed',
      traceId: '0af7651916cd43dd8448eb211c80319c',
      spanId: '',
      resource: { 'service.name': 'bot' },
      file,
      line: 2,
    });
    expect(first.attributes['list']).toEqual([1, 'NaN', null]);
    expect(first.attributes['map']).toEqual({ v: true });
    expect(Object.getPrototypeOf(first.attributes)).toBe(Object.prototype);
    expect(Object.getOwnPropertyDescriptor(first.attributes, '__proto__')?.value).toBe('harmless');
    expect(second).toMatchObject({ stream: undefined, sequence: undefined, time: '0', body: '{"v":1}', eventName: '' });
  });

  it('searches directories downwards for *.jsonl and *.jsonl.zst, each once, and takes a named file whatever its name', async () => {
    writeFileSync(join(directory, 'b.jsonl.zst'), zstdCompressSync(`${line(named('b'))}\n`));
    writeFileSync(join(directory, 'a.jsonl'), `${line(named('a'))}\n`);
    writeFileSync(join(directory, 'a.json'), `${line(named('no'))}\n`);
    writeFileSync(join(directory, 'c.log'), `${line(named('c'))}\n`);
    const all = await read([directory, join(directory, 'a.jsonl'), join(directory, 'c.log')]);
    expect(all.records.map(({ body }) => body)).toEqual(['a', 'b', 'c']);
  });

  it('joins lines across reads, however long, and counts on', async () => {
    const long = 'x'.repeat(3_000_000);
    const names = ['a', long, 'b', ...Array.from({ length: 3000 }, (_, index) => `n${index}`.padEnd(900, '.'))];
    const text = names.map((name) => `${line(named(name))}\n`).join('');
    for (const [name, content] of [
      ['a.jsonl', text],
      ['b.jsonl.zst', zstdCompressSync(text)],
    ] as const) {
      writeFileSync(join(directory, name), content);
      const { records, torn, batches } = await read([join(directory, name)]);
      expect(records.map(({ body }) => body)).toEqual(names);
      expect(records.map((record) => record.line)).toEqual(names.map((_, index) => index + 1));
      expect(torn).toEqual([]);
      expect(batches).toBeGreaterThan(2);
    }
  });

  it('goes on behind what it can not read, and tells where that is', async () => {
    const a = join(directory, 'a.jsonl');
    const b = join(directory, 'b.jsonl.zst');
    writeFileSync(a, `${line(named('a'))}\n{"torn\n${line(named('b'))}\n${line(named('c')).slice(0, 40)}`);
    const frame = zstdCompressSync(`${line(named('d'))}\n`);
    writeFileSync(b, Buffer.concat([frame, frame.subarray(0, -4)]));
    const { records, torn } = await read([directory]);
    expect(records.map(({ body }) => body).slice(0, 3)).toEqual(['a', 'b', 'd']);
    expect(torn.slice(0, 2)).toEqual([
      { file: a, line: 2, kind: 'line' },
      { file: a, line: 4, kind: 'tail' },
    ]);
    expect(torn[2]).toMatchObject({ file: b, kind: 'frame' });
  });

  it('can be left early, and refuses a path that is not there', async () => {
    writeFileSync(join(directory, 'a.jsonl'), `${line(named('a'))}\n`);
    writeFileSync(join(directory, 'b.jsonl'), `${line(named('b'))}\n`);
    for await (const [first] of readRecords([directory])) {
      expect(first?.body).toBe('a');
      break;
    }
    await expect(read([join(directory, 'nowhere')])).rejects.toThrow(
      expect.objectContaining({ code: 'PATH_NOT_FOUND' }),
    );
  });
});
