/** Records as a table for people: aligned columns, one line a record. */
import type { FlatRecord } from '../analysis/flat-record.ts';
import type { Output } from './output.ts';

const TIME_WIDTH = 'YYYY-MM-DD HH:MM:SS.mmm'.length;
const SEVERITY_WIDTH = 5;
const TRACE_WIDTH = 8;
const MAX_WIDTH = { event: 36, symbol: 16 } as const;
/** A sentence is cut to the terminal's width, but never shorter than this. */
const MIN_WHAT = 20;

const STYLES = { WARN: 'yellow', ERROR: 'red', FATAL: 'red', DEBUG: 'dim', TRACE: 'dim' } as const;

/** Formats batches; its columns widen as longer values come, and never narrow. */
export class RecordTable {
  readonly #output: Output;
  #eventWidth = 'EVENT'.length;
  #symbolWidth = 'SYMBOL'.length;
  #headed = false;

  constructor(output: Output) {
    this.#output = output;
  }

  /** The lines of a batch, with the heading in front of the first. */
  format(records: readonly FlatRecord[]): string {
    for (const record of records) {
      this.#eventWidth = Math.min(MAX_WIDTH.event, Math.max(this.#eventWidth, record.event?.length ?? 0));
      this.#symbolWidth = Math.min(MAX_WIDTH.symbol, Math.max(this.#symbolWidth, symbolOf(record).length));
    }
    let text = '';
    if (!this.#headed) {
      this.#headed = true;
      const heading = this.#columns('TIME (UTC)', 'LEVEL', 'EVENT', 'SYMBOL', 'TRACE', 'WHAT');
      text = `${this.#output.style('bold', heading)}\n`;
    }
    for (const record of records) text += `${this.#line(record)}\n`;
    return text;
  }

  #line(record: FlatRecord): string {
    const line = this.#columns(
      record.timestamp.slice(0, TIME_WIDTH).replace('T', ' '),
      record.severity,
      record.event ?? '-',
      symbolOf(record),
      record.trace_id?.slice(0, TRACE_WIDTH) ?? '',
      printable(record.body),
    );
    const style = STYLES[record.severity as keyof typeof STYLES];
    return style === undefined ? line : this.#output.style(style, line);
  }

  #columns(time: string, severity: string, event: string, symbol: string, trace: string, what: string): string {
    const front = [
      time.padEnd(TIME_WIDTH),
      severity.padEnd(SEVERITY_WIDTH),
      event.padEnd(this.#eventWidth),
      symbol.padEnd(this.#symbolWidth),
      trace.padEnd(TRACE_WIDTH),
      '',
    ].join('  ');
    const { columns } = this.#output;
    const room = columns === undefined ? what.length : Math.max(MIN_WHAT, columns - front.length);
    return (front + (what.length > room ? `${what.slice(0, room - 1)}…` : what)).trimEnd();
  }
}

function symbolOf(record: FlatRecord): string {
  const symbol = record['trading.symbol'];
  return typeof symbol === 'string' ? printable(symbol) : '';
}

/** A record's text may hold anything: control characters must not reach the terminal, nor break the line. */
function printable(text: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
  return text.replace(/[\u0000-\u001f\u007f-\u009f]+/g, ' ');
}
