/** Verifies a trail: docs/audit-format.md sections 6 and 7, from one streaming pass. */
import { readFile } from 'node:fs/promises';
import { RiskTrailError } from '../../core/errors.ts';
import type { VerifierKey } from '../proof/note.ts';
import { findTrailFiles, isSegment } from '../read/files.ts';
import type { KeySource, VerifyReport } from './findings.ts';
import { keysBeside } from './keys.ts';
import { type AnchorFile, Pass } from './pass.ts';
import { NeedsRetaining } from './tree-walk.ts';

export {
  FINDING_EXIT,
  type Finding,
  type FindingKind,
  type KeySource,
  type StreamReport,
  toReportJson,
  type VerifyReport,
} from './findings.ts';

/** What to verify, and by which keys. */
export interface VerifyOptions {
  /** Files and directories, searched downwards. */
  readonly paths: readonly string[];
  /** Any of them may have signed any stream. Without, those of `verifier.vkey` files beside the trail are taken. */
  readonly keys?: readonly VerifierKey[];
  /** Where `keys` came from, for the report. @default 'given' */
  readonly keysSource?: KeySource;
  /** Files that hold a signed note each, kept away from the trail. */
  readonly anchors?: readonly string[];
  /** Whether an unsigned tail, a torn tail and an open stream say 2. @default false */
  readonly strict?: boolean;
}

/** The note in a file; undefined where it is gone and needn't be there. */
async function readNote(path: string, given: boolean): Promise<AnchorFile | undefined> {
  try {
    return { path, note: await readFile(path, 'utf8') };
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT') {
      if (given) throw new RiskTrailError('PATH_NOT_FOUND', { path }, error);
      return undefined;
    }
    throw new RiskTrailError('FILE_UNREADABLE', { path, reason: message }, error);
  }
}

/**
 * Verifies a trail. Works on a journal that is being written.
 *
 * Memory: a journal in order is folded into its tree as it is read. Where records come in any order, or more than once, 41
 * bytes a record and 48 a checkpoint are kept; a journal in which that shows only on the way is read a second time.
 * @example
 * const report = await verifyTrail({ paths: ['risktrail-data'], keys: parseVerifierKeys(vkey) });
 * if (!report.ok) console.log(formatVerifyReport(report));
 * @throws RiskTrailError PATH_NOT_FOUND, FILE_UNREADABLE, NOTHING_TO_VERIFY, VERIFIER_KEY_MISSING, VERIFIER_KEY_INVALID
 */
export async function verifyTrail(options: VerifyOptions): Promise<VerifyReport> {
  const found = await findTrailFiles(options.paths);
  const given = options.keys !== undefined && options.keys.length > 0;
  const keys = given ? (options.keys as readonly VerifierKey[]) : await keysBeside(options.paths, found.keys);
  // The notes are read before the files are listed: what they cover is on disk by then, and stays there.
  const notes = await Promise.all([
    ...(options.anchors ?? []).map((path) => readNote(path, true)),
    ...found.checkpoints.map((path) => readNote(path, false)),
  ]);
  const anchors = notes.filter((note) => note !== undefined);

  const run = async (retains: boolean): Promise<{ pass: Pass; directoryGiven: boolean }> => {
    const { records, directoryGiven } = await findTrailFiles(options.paths);
    if (records.length === 0) {
      throw new RiskTrailError('NOTHING_TO_VERIFY', { what: 'there are no *.jsonl or *.jsonl.zst files' });
    }
    const pass = new Pass(records, keys, retains || !records.every(isSegment));
    for (const anchor of anchors) pass.addAnchor(anchor);
    await pass.read();
    return { pass, directoryGiven };
  };
  const report = async (retains: boolean) => {
    const { pass, directoryGiven } = await run(retains);
    if (pass.auditRecords === 0) throw new RiskTrailError('NOTHING_TO_VERIFY', { what: 'there is no audit record' });
    return pass.finish(!directoryGiven);
  };
  const results = await report(false).catch((error: unknown) => {
    if (error instanceof NeedsRetaining) return report(true);
    throw error;
  });

  const strict = options.strict === true;
  const says = (status: 1 | 2) => results.some(({ stream }) => stream.findings.says(status, strict));
  const exitStatus = says(1) ? 1 : says(2) ? 2 : 0;
  return {
    ok: exitStatus === 0,
    keySource: given ? (options.keysSource ?? 'given') : 'beside the trail',
    streams: results.map((result) => result.report),
    exitStatus,
  };
}
