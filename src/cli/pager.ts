/** Long tables on a terminal go through a pager, as git's do: `$PAGER`, else `less` where it is installed. */
import { type ChildProcess, spawn } from 'node:child_process';
import { accessSync, constants } from 'node:fs';
import { delimiter, join } from 'node:path';
import { EXIT } from './exit-codes.ts';
import { createOutput, type Output } from './output.ts';

/** What is used where PAGER names nothing: quits on one screen, keeps colours, leaves the text on the screen. */
const DEFAULT_PAGER = 'less -FRX';
/** Options for a pager that PAGER names, where it is one of these and has none of its own. */
const PAGER_ENVIRONMENT = { LESS: 'FRX', LV: '-c' } as const;
/** Exit status of a process that a signal ended. */
const SIGNALLED = 128;
const SIGTERM_NUMBER = 15;
const DEFAULT_ROWS = 24;

/** The options of a command whose tables may be long: JSON and CSV are for programs. */
export interface PagerFlags {
  /** False with `--no-pager`. */
  readonly pager?: boolean;
  readonly json?: boolean;
  readonly csv?: boolean;
}

/** Help of the option that {@link withPager} reads. */
export const NO_PAGER_OPTION = [
  '--no-pager',
  'print to the terminal at once (else long tables go through $PAGER)',
] as const;

/** What {@link pagerCommand} looks at. */
interface Surroundings {
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly isTerminal: boolean;
  /** Whether a command is installed. */
  isInstalled(command: string): boolean;
}

/**
 * The pager's command line; undefined where there is to be none: the output is no terminal, NO_PAGER is set, PAGER is empty
 * or `cat`, or it isn't installed.
 */
export function pagerCommand({ env, isTerminal, isInstalled }: Surroundings): string | undefined {
  const named = env['PAGER']?.trim();
  if (!isTerminal || env['NO_PAGER'] || env['TERM'] === 'dumb' || named === '' || named === 'cat') return undefined;
  const command = named ?? DEFAULT_PAGER;
  return isInstalled(programOf(command)) ? command : undefined;
}

/** The program of a command line for the shell: what stands behind assignments. */
function programOf(command: string): string {
  return command.split(/\s+/).find((word) => !/^\w+=/.test(word)) ?? '';
}

function isInstalled(program: string): boolean {
  // What the shell alone can tell apart is left to it.
  if (/["'$\\]/.test(program)) return true;
  const places = program.includes('/') ? [''] : (process.env['PATH'] ?? '').split(delimiter);
  return places.some((place) => {
    try {
      accessSync(place === '' ? program : join(place, program), constants.X_OK);
      return true;
    } catch {
      return false;
    }
  });
}

/**
 * Runs a command's work with an output whose text goes through the pager once it is more than one screen.
 * @returns what the work returns, when the pager has ended
 */
export async function withPager(
  { pager, json, csv }: PagerFlags,
  work: (output: Output) => Promise<number>,
): Promise<number> {
  const plain = createOutput();
  if (pager === false || json === true || csv === true) return work(plain);
  const { env, stdout } = process;
  const command = pagerCommand({ env, isTerminal: stdout.isTTY, isInstalled });
  if (command === undefined) return work(plain);
  const paged = new PagedOutput(
    plain,
    command,
    stdout.rows || DEFAULT_ROWS,
    stdout.columns || Number.POSITIVE_INFINITY,
  );
  try {
    return await work(paged);
  } finally {
    await paged.end();
  }
}

/** Holds the first screen back, and starts the pager when there is more. */
class PagedOutput implements Output {
  readonly columns: number | undefined;
  readonly #plain: Output;
  readonly #command: string;
  readonly #rows: number;
  readonly #width: number;
  #held = '';
  #lines = 0;
  #pager: RunningPager | undefined;

  constructor(plain: Output, command: string, rows: number, width: number) {
    this.columns = plain.columns;
    this.#plain = plain;
    this.#command = command;
    this.#rows = rows;
    this.#width = width;
  }

  get closed(): boolean {
    return this.#pager?.closed ?? this.#plain.closed;
  }

  async write(text: string): Promise<void> {
    if (this.#pager !== undefined) return this.#pager.write(text);
    this.#held += text;
    this.#lines += linesOn(text, this.#width);
    if (this.#lines < this.#rows) return;
    this.#pager = new RunningPager(this.#command);
    const held = this.#held;
    this.#held = '';
    await this.#pager.write(held);
  }

  /** In its place: behind what was written, where that is on the screen. */
  note(text: string): void {
    if (this.#pager !== undefined) {
      this.#pager.notes.push(text);
      return;
    }
    this.#flush();
    this.#plain.note(text);
  }

  style(...args: Parameters<Output['style']>): string {
    return this.#plain.style(...args);
  }

  /** Prints what was held back, or waits for the pager's end. */
  async end(): Promise<void> {
    if (this.#pager === undefined) {
      this.#flush();
      return;
    }
    await this.#pager.end();
    for (const note of this.#pager.notes) this.#plain.note(note);
  }

  #flush(): void {
    if (this.#held !== '') process.stdout.write(this.#held);
    this.#held = '';
  }
}

/** Rows of the screen that a text takes; colours take no room. */
function linesOn(text: string, width: number): number {
  let rows = 0;
  // biome-ignore lint/suspicious/noControlCharactersInRegex: escape sequences are what is looked for
  for (const line of text.replace(/\u001b\[[\d;]*m/g, '').split('\n'))
    rows += Math.max(1, Math.ceil(line.length / width));
  return rows - 1;
}

/**
 * A pager that runs. Ctrl-C reaches it as well as us: it decides what that means to what is on the screen, and we read no
 * further, so that nobody fights over the terminal; the process ends when the pager has.
 */
class RunningPager {
  /** Notes that are told when the screen is ours again. */
  readonly notes: string[] = [];
  readonly #child: ChildProcess;
  readonly #ended: Promise<void>;
  #closed = false;
  #finished = false;
  readonly #listeners = process.listeners('SIGINT');

  constructor(command: string) {
    const env = { ...PAGER_ENVIRONMENT, ...process.env };
    this.#child = spawn(command, { shell: true, env, stdio: ['pipe', 'inherit', 'inherit'] });
    process.removeAllListeners('SIGINT');
    process.on('SIGINT', this.#interrupted);
    process.once('SIGTERM', this.#terminated);
    // Whoever leaves the pager has read enough: that is no error.
    this.#child.stdin!.on('error', () => this.#close());
    this.#ended = new Promise((resolve) => {
      const done = () => {
        this.#close();
        process.removeListener('SIGINT', this.#interrupted);
        process.removeListener('SIGTERM', this.#terminated);
        for (const listener of this.#listeners) process.on('SIGINT', listener);
        resolve();
      };
      this.#child.once('error', done);
      this.#child.once('exit', done);
    });
  }

  get closed(): boolean {
    return this.#closed;
  }

  /** Resolves when more may be written, at once where nobody reads any more. */
  write(text: string): Promise<void> {
    const { stdin } = this.#child;
    if (this.#closed || stdin!.write(text)) return Promise.resolve();
    return Promise.race([new Promise<void>((resolve) => stdin!.once('drain', resolve)), this.#ended]);
  }

  async end(): Promise<void> {
    this.#finished = true;
    this.#child.stdin!.end();
    await this.#ended;
  }

  #close(): void {
    this.#closed = true;
  }

  readonly #interrupted = (): void => {
    // All of it was handed over: the key is the pager's alone.
    if (this.#finished || this.#closed) return;
    this.#close();
    this.#child.stdin!.end();
    this.#ended.then(() => process.exit(EXIT.interrupted));
  };

  readonly #terminated = (): void => {
    // A pager that outlived us would leave the terminal as it set it up.
    this.#child.kill('SIGTERM');
    this.#ended.then(() => process.exit(SIGNALLED + SIGTERM_NUMBER));
  };
}
