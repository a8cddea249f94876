/** Exports as a workbook (Office Open XML): a table with a heading. Exact decimals and times stay text. */
import type { PlainValue } from '../audit/record/otlp.ts';
import { ATTRIBUTES } from '../catalog/attributes.ts';
import type { AttributeTable } from '../catalog/define.ts';
import { RiskTrailError } from '../core/errors.ts';
import { columnsOf, type RecordSource, textOfValue } from './export.ts';
import { writeWhole } from './whole-file.ts';

/** The workbook is made in memory; more than this is no longer a table that people look at. */
export const MAX_XLSX_RECORDS = 100_000;
/** What a cell of Excel holds. */
const MAX_CELL = 32_767;

interface TextCell {
  readonly value: string;
  readonly type: StringConstructor;
}
type Cell = TextCell | number | boolean | null;

/** Characters that XML can't hold, as Office Open XML writes them (ST_Xstring), and what would be read as one of those. */
const escaped = (text: string): string =>
  text.replace(
    // biome-ignore lint/suspicious/noControlCharactersInRegex: those are what is looked for
    /[\u0000-\u0008\u000b\u000c\u000e-\u001f\ufffe\uffff]|_(?=x[0-9A-Fa-f]{4}_)/g,
    (char) => `_x${char.charCodeAt(0).toString(16).toUpperCase().padStart(4, '0')}_`,
  );

/** Numbers of the catalogue's number types are numbers, ids and decimals text: Excel would round or rewrite them. */
function cellOf(name: string, value: PlainValue | undefined): Cell {
  if (value === null || value === undefined) return null;
  if (typeof value === 'boolean') return value;
  const type = (ATTRIBUTES as AttributeTable)[name]?.type;
  const isNumber = name === 'severity_number' || name === 'sequence' || type === 'number' || type === 'int';
  if (isNumber && typeof value === 'number' && Number.isFinite(value) && Math.abs(value) < 1e15) return value;
  const text = escaped(textOfValue(value));
  if (text.length > MAX_CELL) {
    throw new RiskTrailError('XLSX_TOO_LARGE', {
      what: `a value of ${name} of ${text.length} characters`,
      limit: MAX_CELL,
    });
  }
  return { value: text, type: String };
}

async function load() {
  try {
    return (await import('write-excel-file/node')).default;
  } catch (error) {
    throw new RiskTrailError('XLSX_MISSING', { reason: (error as Error).message.split('\n', 1)[0]! }, error);
  }
}

/**
 * Writes a workbook. What looks like a formula is text there and is never run.
 * @returns how many records
 * @throws RiskTrailError XLSX_MISSING, XLSX_TOO_LARGE, FILE_UNREADABLE
 */
export async function writeXlsx(records: RecordSource, path: string): Promise<number> {
  const write = await load();
  const columns = await columnsOf(records);
  const rows: Cell[][] = [columns.map((name) => ({ value: escaped(name), type: String }))];
  for await (const batch of records()) {
    for (const record of batch) {
      if (rows.length > MAX_XLSX_RECORDS) {
        throw new RiskTrailError('XLSX_TOO_LARGE', {
          what: 'what was asked for',
          limit: `${MAX_XLSX_RECORDS} records`,
        });
      }
      rows.push(columns.map((name) => cellOf(name, record[name])));
    }
  }
  await writeWhole(path, (file) => write(rows, { sheet: 'events', stickyRowsCount: 1 }).toFile(file));
  return rows.length - 1;
}
