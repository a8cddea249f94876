import { describe, expect, it } from 'vitest';
import type { FlatRecord } from '../../../src/analysis/flat-record.ts';
import type { Output } from '../../../src/cli/output.ts';
import { RecordTable } from '../../../src/cli/record-table.ts';

function output(columns?: number, style: Output['style'] = (_, text) => text): Output {
  return { columns, style, write: async () => {}, note: () => {}, closed: false };
}

const record = (fields: object) =>
  ({
    timestamp: '2020-03-16T14:00:00.123456789Z',
    event: 'order.placed',
    severity: 'INFO',
    body: 'Order placed: buy 100 AAPL at 150.25',
    trace_id: '0af7651916cd43dd8448eb211c80319c',
    'trading.symbol': 'AAPL',
    ...fields,
  }) as unknown as FlatRecord;

const lines = (text: string) => text.trimEnd().split('\n');

describe('the table of records', () => {
  it('aligns its columns and widens them for longer values', () => {
    const table = new RecordTable(output());
    const first = lines(table.format([record({}), record({ 'trading.symbol': 'BTC/USDT', event: 'a.b' })]));
    expect(first).toEqual([
      'TIME (UTC)               LEVEL  EVENT         SYMBOL    TRACE     WHAT',
      '2020-03-16 14:00:00.123  INFO   order.placed  AAPL      0af76519  Order placed: buy 100 AAPL at 150.25',
      '2020-03-16 14:00:00.123  INFO   a.b           BTC/USDT  0af76519  Order placed: buy 100 AAPL at 150.25',
    ]);
    const second = lines(table.format([record({ event: 'a.longer.event', trace_id: null, body: '' })]));
    expect(second).toEqual(['2020-03-16 14:00:00.123  INFO   a.longer.event  AAPL']);
  });

  it('cuts the sentence to the width of a terminal', () => {
    const table = new RecordTable(output(90));
    const [, line] = lines(table.format([record({})]));
    expect(line).toHaveLength(90);
    expect(line!.endsWith('…')).toBe(true);
    const narrow = new RecordTable(output(10));
    expect(lines(narrow.format([record({})]))[1]).toContain('Order placed: buy 1…');
  });

  it('colours by severity, where the output colours at all', () => {
    const table = new RecordTable(output(undefined, (style, text) => `<${String(style)}>${text}`));
    const [heading, info, warn, error] = lines(
      table.format([record({}), record({ severity: 'WARN' }), record({ severity: 'ERROR' })]),
    );
    expect(heading).toMatch(/^<bold>TIME/);
    expect(info).toMatch(/^2020/);
    expect(warn).toMatch(/^<yellow>2020/);
    expect(error).toMatch(/^<red>2020/);
  });

  it('lets no control character of a record reach the terminal', () => {
    const table = new RecordTable(output());
    const text = table.format([record({ body: 'a\nb\u001b[2J\u009bc', 'trading.symbol': 'X\u0007' })]);
    expect(lines(text)).toHaveLength(2);
    // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what must not be there
    expect(text.replaceAll('\n', '')).not.toMatch(/[\u0000-\u001f\u007f-\u009f]/);
  });
});
