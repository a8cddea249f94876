/** `risktrail check-proof`: does a proof hold? Needs the proof and the verifier key, no trail. */

import type { Command } from 'commander';
import { RiskTrailError } from '../../core/errors.ts';
import { printable } from '../../core/printable.ts';
import { EXIT } from '../exit-codes.ts';
import { gather } from '../option-values.ts';
import { createOutput, type Output } from '../output.ts';
import { readGivenBytes, readGivenFile, readVerifierKeys } from '../verifier-keys.ts';

interface CheckFlags {
  readonly vkey: readonly string[];
  readonly record?: string;
  readonly handover?: readonly string[];
  readonly json?: boolean;
}

const EXAMPLES = `
Exit status: 0 the proof holds; 1 it doesn't; 3 a file can't be read or is no proof.

Examples:
  $ risktrail check-proof 019aa420-6a38-7da3-89a4-0dbd13a3177f.tlog-proof --vkey /safe/momentum-bot.vkey
  $ risktrail check-proof evidence.tlog-proof --record evidence.json --vkey 'momentum-bot+12345678+AZHq…'
  $ risktrail check-proof 75-299.consistency-proof --vkey /safe/momentum-bot.vkey
`;

/** Adds the command to the program. @param done told of the exit status */
export function addCheckProofCommand(program: Command, done: (status: number) => void): void {
  program
    .command('check-proof')
    .description('check a proof that risktrail prove made; needs nothing but the verifier key')
    .argument('<file>', 'a *.tlog-proof or a *.consistency-proof')
    .requiredOption('--vkey <key>', 'verifier key, or a file of them; may be repeated', gather)
    .option('--record <file>', "the record's canonical bytes (default: the .json of the proof's name beside it)")
    .option('--handover <file>', 'statement by which a key that is trusted hands over to another', gather)
    .option('--json', 'the answer as JSON')
    .addHelpText('after', EXAMPLES)
    .action(async (file: string, flags: CheckFlags) => done(await check(file, flags, createOutput())));
}

interface Answer {
  readonly ok: boolean;
  readonly [detail: string]: unknown;
}

async function check(file: string, flags: CheckFlags, output: Output): Promise<number> {
  const { trustHandovers } = await import('../../audit/proof/handover.ts');
  const { checkConsistencyProof, checkRecordProof, parseConsistencyProof, parseRecordProof, recordFileOf } =
    await import('../../audit/proof/proof.ts');
  const statements = await Promise.all((flags.handover ?? []).map(readGivenFile));
  const keys = trustHandovers(await readVerifierKeys(flags.vkey), statements);
  const proof = await readGivenFile(file);
  let answer: Answer;
  let text: string;
  if (parseRecordProof(proof) !== undefined) {
    const canonical = await readGivenBytes(flags.record ?? recordFileOf(file));
    const result = checkRecordProof(proof, canonical, keys);
    answer = result.ok
      ? { ok: true, stream: result.checkpoint.origin, sequence: result.index, size: result.checkpoint.size }
      : { ok: false, reason: result.reason };
    if (result.ok) answer = { ...answer, signer: result.signer.vkey, record: JSON.parse(canonical.toString()) };
    text = `Record ${answer['sequence']} of ${answer['stream']} is below its checkpoint of size ${answer['size']}, signed by ${answer['signer']}.`;
  } else if (parseConsistencyProof(proof) !== undefined) {
    const result = checkConsistencyProof(proof, keys);
    answer = result.ok
      ? { ok: true, stream: result.newer.origin, oldSize: result.older.size, newSize: result.newer.size }
      : { ok: false, reason: result.reason };
    text = `The checkpoint of size ${answer['newSize']} of ${answer['stream']} goes on from that of size ${answer['oldSize']}.`;
  } else {
    throw new RiskTrailError('PROOF_UNREADABLE', { path: file });
  }
  const status = answer.ok ? EXIT.good : EXIT.finding;
  // Set before printing: whoever reads may stop reading.
  process.exitCode = status;
  if (flags.json) await output.write(`${JSON.stringify(answer, undefined, 2)}\n`);
  else if (answer.ok) await output.write(`${printable(text)}\nGOOD: the proof holds.\n`);
  else await output.write(`BAD: the proof does not hold: ${printable(String(answer['reason']))}.\n`);
  return status;
}
