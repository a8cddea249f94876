import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { openTrail } from '../../src/analysis/index.ts';
import { writeXlsx } from '../../src/analysis/xlsx.ts';
import { temporaryDirectory } from '../support/temporary.ts';
import { line, put, STREAM_A, segmentPath } from '../support/trail-lines.ts';

/** The cells of a workbook's sheet, read by a second program: Python's zip and XML. */
const READ = `
import json, re, sys, zipfile
from xml.etree import ElementTree
ns = {'m': 'http://schemas.openxmlformats.org/spreadsheetml/2006/main'}
book = zipfile.ZipFile(sys.argv[1])
strings = [''.join(t.text or '' for t in one.iter('{%s}t' % ns['m'])) for one in ElementTree.fromstring(book.read('xl/sharedStrings.xml'))]
rows = []
for row in ElementTree.fromstring(book.read('xl/worksheets/sheet1.xml')).find('m:sheetData', ns):
    cells = {}
    for cell in row:
        value = cell.find('m:v', ns)
        if cell.find('m:f', ns) is not None: raise SystemExit('a formula')
        if value is None: continue
        column = re.sub('[0-9]', '', cell.get('r'))
        kind = cell.get('t')
        cells[column] = ['text', strings[int(value.text)]] if kind == 's' else [kind or 'number', value.text]
    rows.append(cells)
json.dump(rows, sys.stdout)
`;

type Row = Readonly<Record<string, readonly [string, string]>>;
function rowsOf(path: string): Readonly<Record<string, readonly [string, string]>>[] {
  const { stdout, stderr, status } = spawnSync('python3', ['-c', READ, path], { encoding: 'utf8' });
  if (status !== 0) throw new Error(stderr);
  const [heading, ...rows] = JSON.parse(stdout) as Row[];
  return rows.map((row) =>
    Object.fromEntries(Object.entries(row).map(([column, cell]) => [heading![column]![1], cell])),
  );
}

describe('an export as a workbook', () => {
  it('holds exact texts, numbers as numbers, and no formula', async () => {
    const dir = temporaryDirectory();
    put(
      segmentPath(dir, STREAM_A, 0),
      line(0, {
        event: 'order.rejected',
        body: '=HYPERLINK("http://x")',
        attributes: {
          'trading.price': '0.10000000000000000001',
          'timing.duration_ms': 12.5,
          'risk.reason': 'a\u0001b',
        },
      }) + line(1, { event: 'trade.exit' }),
    );
    await using trail = openTrail(dir);
    const path = join(dir, 'orders.xlsx');
    expect(await trail.export('xlsx', path, { event: ['order.*'] })).toBe(1);
    expect(rowsOf(path)).toEqual([
      expect.objectContaining({
        timestamp: ['text', '2020-03-16T14:00:00.000000000Z'],
        body: ['text', '=HYPERLINK("http://x")'],
        sequence: ['number', '0'],
        'trading.price': ['text', '0.10000000000000000001'],
        'timing.duration_ms': ['number', '12.5'],
        'risk.reason': ['text', 'a_x0001_b'],
      }),
    ]);
  });

  it('refuses what a workbook does not hold', async () => {
    const dir = temporaryDirectory();
    put(segmentPath(dir, STREAM_A, 0), line(0, { body: 'x'.repeat(40_000) }));
    await using trail = openTrail(dir);
    await expect(trail.export('xlsx', join(dir, 'long.xlsx'))).rejects.toThrow(/a value of body of 40000 characters/);
    const one = { timestamp: '' } as never;
    const many = async function* () {
      for (let batch = 0; batch < 101; batch++) yield Array.from({ length: 1000 }, () => one);
    };
    await expect(writeXlsx(many, join(dir, 'many.xlsx'))).rejects.toThrow(/at most 100000 records/);
    await expect(trail.export('xlsx', () => {})).rejects.toThrow(/the path of a file, for xlsx/);
  });
});
