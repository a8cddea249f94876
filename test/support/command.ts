/** Runs one command by itself in this process, as the program does, and gathers what it prints. */
import { Command } from 'commander';
import { vi } from 'vitest';

/** What a run printed and said. */
export interface CommandResult {
  readonly status: number;
  readonly out: string;
  readonly err: string;
}

/** Adds a command to a program. */
export type AddCommand = (program: Command, done: (status: number) => void) => void;

/**
 * Runs a command.
 * @param args with the command's name first
 * @throws what the command throws
 */
export async function runCommand(add: AddCommand, args: readonly string[]): Promise<CommandResult> {
  let [out, err] = ['', ''];
  let status = 0;
  const program = new Command('risktrail').exitOverride().configureOutput({
    writeErr: (text) => {
      err += text;
    },
  });
  add(program, (one) => {
    status = one;
  });
  const stdout = vi.spyOn(process.stdout, 'write').mockImplementation((text) => {
    out += String(text);
    return true;
  });
  const stderr = vi.spyOn(process.stderr, 'write').mockImplementation((text) => {
    err += String(text);
    return true;
  });
  try {
    await program.parseAsync(args, { from: 'user' });
    return { status, out, err };
  } finally {
    stdout.mockRestore();
    stderr.mockRestore();
    process.exitCode = undefined;
  }
}
