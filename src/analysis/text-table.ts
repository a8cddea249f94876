/** Rows as aligned text, for terminals. */

/** A record's text may hold anything: control characters must not reach the terminal, nor break the line. */
export function printable(text: string): string {
  return text.replace(/\p{Cc}+/gu, ' ');
}

const NUMERIC = /^-?\d[\d,]*(\.\d+)?$/;
const MAX_CELL = 60;

/** A cell for people: numbers of at most six digits behind the point, lists and maps as JSON, nothing as a dash. */
export function cellText(value: unknown): string {
  if (value === null || value === undefined) return '-';
  if (typeof value === 'number') return Number.isInteger(value) ? String(value) : String(Number(value.toPrecision(10)));
  return printable(typeof value === 'object' ? JSON.stringify(value) : String(value));
}

/** Lines of columns, each as wide as its widest cell; numbers stand right. */
export function textTable(
  columns: readonly string[],
  rows: readonly (readonly unknown[])[],
  maxCell = MAX_CELL,
): string {
  const cells = rows.map((row) =>
    row.map(cellText).map((cell) => (cell.length > maxCell ? `${cell.slice(0, maxCell - 1)}…` : cell)),
  );
  const widths = columns.map((name, at) => Math.max(name.length, ...cells.map((row) => row[at]!.length)));
  const right = columns.map(
    (_, at) => cells.length > 0 && cells.every((row) => row[at] === '-' || NUMERIC.test(row[at]!)),
  );
  const line = (row: readonly string[]) =>
    row
      .map((cell, at) => (right[at] ? cell.padStart(widths[at]!) : cell.padEnd(widths[at]!)))
      .join('  ')
      .trimEnd();
  return `${[line(columns), ...cells.map(line)].join('\n')}\n`;
}
