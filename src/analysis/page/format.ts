/** Numbers and times as people read them: the same on every machine, whatever its language and zone. */
import { Html, type HtmlValue, html } from './html.ts';

const NONE = '–';
const MS_PER_DAY = 86_400_000;

function grouped(digits: string): string {
  return digits.replace(/\B(?=(\d{3})+(?!\d))/g, ',');
}

/** `1234567.891` → `1,234,567.89`; small ones keep four significant digits. */
export function numberText(value: number): string {
  if (!Number.isFinite(value)) return String(value);
  const size = Math.abs(value);
  if (size >= 1e15 || (size > 0 && size < 1e-6)) return value.toExponential(3).replace('-', '−').replace('e−', 'e-');
  let text: string;
  if (Number.isInteger(value)) text = String(size);
  else if (size >= 10) text = size.toFixed(2);
  else text = String(Number(size.toPrecision(4)));
  const [whole, fraction] = text.split('.') as [string, string | undefined];
  const shown = `${grouped(whole)}${fraction === undefined ? '' : `.${fraction}`}`;
  return value < 0 && /[1-9]/.test(shown) ? `−${shown}` : shown;
}

/** `0.0336` → `3.36 %`. */
export function percentText(ratio: number): string {
  const percent = ratio * 100;
  const rounded = Math.abs(percent) >= 10 ? Math.round(percent * 10) / 10 : Number(percent.toPrecision(3));
  const [whole, fraction] = String(Math.abs(rounded)).split('.') as [string, string | undefined];
  const text =
    rounded !== 0 && Math.abs(rounded) < 1e-6
      ? String(Math.abs(rounded))
      : `${grouped(whole)}${fraction === undefined ? '' : `.${fraction}`}`;
  return `${rounded < 0 ? '−' : ''}${text} %`;
}

/** A duration in its two largest units: `2 d 4 h`, `37 min`, `4.2 s`. */
export function durationText(ms: number): string {
  if (ms < 0) return `−${durationText(-ms)}`;
  if (ms === 0) return '0 s';
  if (ms < 1000) return `${numberText(Number(ms.toPrecision(3)))} ms`;
  if (ms < 60_000) return `${numberText(Number((ms / 1000).toPrecision(3)))} s`;
  const days = Math.floor(ms / MS_PER_DAY);
  const hours = Math.floor((ms % MS_PER_DAY) / 3_600_000);
  const minutes = Math.floor((ms % 3_600_000) / 60_000);
  if (days > 0) return `${grouped(String(days))} d${hours > 0 ? ` ${hours} h` : ''}`;
  return hours > 0 ? `${hours} h${minutes > 0 ? ` ${minutes} min` : ''}` : `${minutes} min`;
}

/** Nanoseconds since the epoch (as DuckDB gives them) → epoch milliseconds. */
export function msOf(nanos: unknown): number {
  return Number(BigInt(String(nanos)) / 1000n) / 1000;
}

/** Epoch milliseconds → `2020-03-16 14:30:00`, UTC. */
export function timeText(ms: number): string {
  return new Date(ms).toISOString().slice(0, 19).replace('T', ' ');
}

/** A cell with a number: the exact value stands in the markup beside what is shown. */
export function number(value: number | null | undefined, text: (value: number) => string = numberText): Html {
  if (value === null || value === undefined) return html`<span class="none">${NONE}</span>`;
  return html`<data value="${String(value)}">${text(value)}</data>`;
}

/** A point in time, with the exact one in the markup. */
export function time(ms: number | null | undefined): Html {
  if (ms === null || ms === undefined) return html`<span class="none">${NONE}</span>`;
  return html`<time datetime="${new Date(ms).toISOString()}">${timeText(ms)}</time>`;
}

/** A column of a table. */
export interface Column<T> {
  readonly title: string;
  readonly cell: (row: T) => HtmlValue;
  /** Whether it holds numbers, which stand right. */
  readonly numeric?: boolean;
}

/** A table. @param name names it in the markup (`data-table`) @param caption its accessible name */
export function table<T>(
  name: string,
  caption: string,
  columns: readonly Column<T>[],
  rows: readonly T[],
  empty: string,
): Html {
  if (rows.length === 0) return html`<p class="empty">${empty}</p>`;
  const heads = columns.map(
    ({ title, numeric }) => html`<th scope="col"${numeric ? new Html(' class="num"') : ''}>${title}</th>`,
  );
  const lines = rows.map((row) => {
    const cells = columns.map(({ cell, numeric }, at) => {
      const tag = at === 0 ? 'th scope="row"' : 'td';
      const open = new Html(`<${tag}${numeric ? ' class="num"' : ''}>`);
      return html`${open}${cell(row)}${new Html(at === 0 ? '</th>' : '</td>')}`;
    });
    return html`<tr>${cells}</tr>\n`;
  });
  return html`<div class="scroll" tabindex="0" role="region" aria-label="${caption}"><table data-table="${name}"><caption>${caption}</caption><thead><tr>${heads}</tr></thead><tbody>\n${lines}</tbody></table></div>`;
}
