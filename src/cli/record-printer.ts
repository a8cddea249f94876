/** Prints records as JSON lines or as a table. */
import type { FlatRecord } from '../analysis/flat-record.ts';
import type { Output } from './output.ts';

/** As many lines go out in one write. */
const LINES_PER_WRITE = 1000;

/** Prints a batch; resolves when the next may come. */
export type Printer = (records: readonly FlatRecord[]) => Promise<void>;

/** Prints batches as JSON lines or as a table. */
export async function createPrinter(json: boolean, output: Output): Promise<Printer> {
  let format = (records: readonly FlatRecord[]) => records.map((record) => `${JSON.stringify(record)}\n`).join('');
  if (!json) {
    const { RecordTable } = await import('./record-table.ts');
    const table = new RecordTable(output);
    format = (records) => table.format(records);
  }
  return async (records) => {
    for (let at = 0; at < records.length; at += LINES_PER_WRITE) {
      await output.write(format(records.slice(at, at + LINES_PER_WRITE)));
    }
  };
}
