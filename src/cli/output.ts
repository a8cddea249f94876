/** Standard output for millions of lines: waits for a slow reader instead of filling the memory. */
import { once } from 'node:events';
import { fstatSync } from 'node:fs';
import { styleText } from 'node:util';

type Style = Parameters<typeof styleText>[0];

/** Where a command writes. */
export interface Output {
  /** Resolves when more may be written. */
  write(text: string): Promise<void>;
  /** A note on standard error, one line, without the newline. */
  note(text: string): void;
  /** Colours the text where the output is a terminal and NO_COLOR doesn't forbid it. */
  style(style: Style, text: string): string;
  /** Width of the terminal; undefined where there is none. */
  readonly columns: number | undefined;
  /** Whether nobody reads any more: what is written from here on is dropped. */
  readonly closed: boolean;
}

const STDOUT = 1;

/** Whether standard output is a terminal, or a file; where it is a pipe, it is neither. */
export function isPrintedTo(what: 'terminal' | 'file'): boolean {
  if (what === 'terminal') return process.stdout.isTTY === true;
  try {
    return fstatSync(STDOUT).isFile();
  } catch {
    return false;
  }
}

/** The process's own output. */
export function createOutput(): Output {
  const { stdout, stderr } = process;
  return {
    async write(text) {
      if (!stdout.write(text)) await once(stdout, 'drain');
    },
    note: (text) => void stderr.write(`${text}\n`),
    style: (style, text) => (stdout.isTTY ? styleText(style, text, { stream: stdout }) : text),
    columns: stdout.isTTY ? stdout.columns || undefined : undefined,
    closed: false,
  };
}
