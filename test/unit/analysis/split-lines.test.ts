import { describe, expect, it } from 'vitest';
import { splitLine } from '../../../src/analysis/sql/split-lines.ts';

const split = (text: string): unknown[] => [...splitLine(Buffer.from(text))].map((line) => JSON.parse(line.toString()));
const service = { attributes: [{ key: 'service.name', value: { stringValue: 'bot' } }] };
const recordsOf = (payload: unknown): unknown[] =>
  (payload as { resourceLogs: { scopeLogs: { logRecords?: unknown[] }[] }[] }).resourceLogs.flatMap(({ scopeLogs }) =>
    scopeLogs.flatMap(({ logRecords }) => logRecords ?? []),
  );

describe('a line of many records', () => {
  const odd = {
    body: { stringValue: 'a "]}" \\ \\" \\\\ é 💶 {[' },
    attributes: [],
    nested: { list: [[1], { a: [] }] },
  };
  const payload = {
    resourceLogs: [
      { scopeLogs: [{ logRecords: [{ a: 1 }, odd], scope: { name: 'x' } }, { scope: {} }], resource: service },
      { resource: {}, scopeLogs: [] },
      { resource: { attributes: [] }, schemaUrl: 'u', scopeLogs: [{ logRecords: [{}] }] },
    ],
  };

  it('becomes a line for each, with its resource', () => {
    const lines = split(JSON.stringify(payload));
    expect(lines.flatMap(recordsOf)).toEqual(recordsOf(payload));
    expect(lines.map((one) => (one as typeof payload).resourceLogs[0]!.resource)).toEqual([
      service,
      service,
      { attributes: [] },
    ]);
  });

  it('keeps the text of each record to the byte', () => {
    const record = '{ "intValue" : 12345678901234567890, "x":1.50e+3,\t"y":"\\u00e9\\\\" }';
    const [line] = [
      ...splitLine(Buffer.from(`{"resourceLogs": [ {"scopeLogs" :[ {"logRecords":[ ${record} ]}]} ] } `)),
    ];
    expect(line!.toString()).toBe(`{"resourceLogs":[{"scopeLogs":[{"logRecords":[${record}]}]}]}\n`);
  });

  it('holds none where it is cut off anywhere, or is something else', () => {
    const text = JSON.stringify(payload);
    for (let end = 0; end < text.length; end++) expect([end, split(text.slice(0, end))]).toEqual([end, []]);
    for (const other of ['', '[]', 'null', '{}', '{"resourceLogs":{}}', '{"resourceLogs":[1,[]]}', `${text}x`, '{"a"}'])
      expect([other, split(other)]).toEqual([other, []]);
  });
});
