/** `risktrail prove`: a proof to show to somebody who doesn't have the trail. */
import { stat, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import type { Command } from 'commander';
import type { CheckpointChoice } from '../../audit/proof/prove.ts';
import { RiskTrailError } from '../../core/errors.ts';
import { EXIT } from '../exit-codes.ts';
import { gather, parseCount } from '../option-values.ts';
import { createOutput, type Output } from '../output.ts';
import { trailPaths } from '../paths.ts';
import { withProgress } from '../progress.ts';
import { keysOrBeside, readGivenFile } from '../verifier-keys.ts';

interface ProveFlags {
  readonly record?: string;
  readonly consistency?: boolean;
  readonly output?: string;
  readonly stream?: string;
  readonly size?: number;
  readonly vkey?: readonly string[];
  readonly json?: boolean;
}

const EXAMPLES = `
A record's proof is two files: <record id>.tlog-proof, and <record id>.json with the record's canonical bytes. Together with the
verifier key they are all that risktrail check-proof needs; the rest of the trail stays where it is.

Examples:
  $ risktrail prove --record 019aa420-6a38-7da3-89a4-0dbd13a3177f ./risktrail-data
  $ risktrail prove --record 123 ./risktrail-data -o evidence.tlog-proof
  $ risktrail prove --consistency 75 newest ./risktrail-data -o 75.consistency-proof
  $ risktrail prove --consistency /backup/checkpoint newest ./risktrail-data -o since-backup.consistency-proof
`;

/** Adds the command to the program. @param done told of the exit status */
export function addProveCommand(program: Command, done: (status: number) => void): void {
  program
    .command('prove')
    .description('prove that a record is in a trail, or that one checkpoint goes on from another')
    .argument('[paths...]', 'data directory or files (default: RISKTRAIL_DATA_DIR or ./risktrail-data)')
    .option('--record <id>', 'prove the record of this audit.record.id or sequence number')
    .option('--consistency', 'prove that a checkpoint goes on from another: OLD and NEW stand in front of the paths')
    .option('-o, --output <file>', 'file to write, or directory (default: <record id>.tlog-proof here)')
    .option('--stream <name>', 'audit.stream or its UUID, where a number may be of several')
    .option('--size <n>', 'lead to the checkpoint of this size (default: the newest)', parseCount(1))
    .option('--vkey <key>', 'lead to checkpoints of this key only, or of a file of them; may be repeated', gather)
    .option('--json', 'what was written, as JSON')
    .addHelpText('after', EXAMPLES)
    .action(async (args: readonly string[], flags: ProveFlags, command: Command) => {
      if ((flags.record === undefined) === (flags.consistency !== true)) {
        command.error('error: give either --record or --consistency', { exitCode: EXIT.usage });
      }
      if (flags.consistency && flags.size !== undefined) {
        command.error('error: --size goes with --record', { exitCode: EXIT.usage });
      }
      if (flags.consistency && args.length < 2) {
        const what = 'a size, a file with a note, or newest';
        command.error(`error: --consistency needs OLD and NEW, each ${what}`, { exitCode: EXIT.usage });
      }
      const output = createOutput();
      done(flags.record === undefined ? await consistency(args, flags, output) : await record(args, flags, output));
    });
}

/** Writes the files, which must not be there half when something fails, and says so. */
async function write(files: Readonly<Record<string, string | Buffer>>): Promise<void> {
  for (const [path, content] of Object.entries(files)) {
    try {
      await writeFile(path, content);
    } catch (error) {
      throw new RiskTrailError('FILE_UNWRITABLE', { path, reason: (error as Error).message }, error);
    }
  }
}

async function isDirectory(path: string): Promise<boolean> {
  return stat(path).then(
    (found) => found.isDirectory(),
    () => false,
  );
}

/** Where a proof goes: the file named, or a file of this name in the directory named or here. */
async function target(flags: ProveFlags, name: string): Promise<string> {
  const { output } = flags;
  if (output === undefined) return name;
  return (await isDirectory(output)) ? join(output, name) : output;
}

async function record(args: readonly string[], flags: ProveFlags, output: Output): Promise<number> {
  const { proveRecord } = await import('../../audit/proof/prove.ts');
  const { recordFileOf } = await import('../../audit/proof/proof.ts');
  const { createSystemClock } = await import('../../core/clock.ts');
  const paths = trailPaths(args);
  const keys = await keysOrBeside(flags.vkey ?? [], paths);
  const wanted = flags.record as string;
  const made = await withProgress(`proving record ${wanted}`, createSystemClock().monotonic, () =>
    proveRecord({
      paths,
      record: /^\d{1,15}$/.test(wanted) ? Number(wanted) : wanted,
      stream: flags.stream,
      size: flags.size,
      keys,
    }),
  );
  const { stream, sequence, recordId, size } = made;
  const proofFile = await target(flags, `${fileName(recordId) ?? sequence}.tlog-proof`);
  const recordFile = recordFileOf(proofFile);
  await write({ [recordFile]: made.canonical, [proofFile]: made.proof });
  if (flags.json) {
    const answer = { stream, sequence, recordId: recordId ?? null, size, proof: resolve(proofFile) };
    await output.write(`${JSON.stringify({ ...answer, record: resolve(recordFile) }, undefined, 2)}\n`);
  } else {
    await output.write(
      `Record ${sequence} of ${stream} is below its signed checkpoint of size ${size}.\n` +
        `  ${proofFile}\n  ${recordFile}\n` +
        `Check with: risktrail check-proof ${proofFile} --vkey KEY\n`,
    );
  }
  return EXIT.good;
}

/** An id is written by whoever wrote the trail: as a file's name only what a UUID is made of. */
function fileName(recordId: string | undefined): string | undefined {
  return recordId !== undefined && /^[0-9A-Za-z-]{1,64}$/.test(recordId) ? recordId : undefined;
}

/** A checkpoint that the command line names: a size, `newest`, or a file with its note. */
async function choice(text: string): Promise<CheckpointChoice> {
  if (text === 'newest') return 'newest';
  return /^\d{1,15}$/.test(text) ? Number(text) : { note: await readGivenFile(text) };
}

async function consistency(args: readonly string[], flags: ProveFlags, output: Output): Promise<number> {
  const [old, next, ...rest] = args as [string, string, ...string[]];
  const { proveConsistency } = await import('../../audit/proof/prove.ts');
  const { createSystemClock } = await import('../../core/clock.ts');
  const paths = trailPaths(rest);
  const [older, newer] = [await choice(old), await choice(next)];
  const keys = await keysOrBeside(flags.vkey ?? [], paths);
  const made = await withProgress('proving consistency', createSystemClock().monotonic, () =>
    proveConsistency({ paths, older, newer, stream: flags.stream, keys }),
  );
  const { stream, oldSize, newSize } = made;
  const file = await target(flags, `${oldSize}-${newSize}.consistency-proof`);
  await write({ [file]: made.proof });
  if (flags.json) {
    await output.write(`${JSON.stringify({ stream, oldSize, newSize, proof: resolve(file) }, undefined, 2)}\n`);
  } else {
    await output.write(
      `The checkpoint of size ${newSize} of ${stream} goes on from that of size ${oldSize}.\n  ${file}\n` +
        `Check with: risktrail check-proof ${file} --vkey KEY\n`,
    );
  }
  return EXIT.good;
}
