/** Verifies a trail: docs/audit-format.md sections 6 and 7, from one streaming pass. */
import { readFile } from 'node:fs/promises';
import { RiskTrailError } from '../../core/errors.ts';
import { readAnchors } from '../anchor/read-anchors.ts';
import { trustHandovers } from '../proof/handover.ts';
import type { VerifierKey } from '../proof/note.ts';
import { handoversBeside } from '../proof/read-handovers.ts';
import { findTrailFiles, isSegment, isTwin } from '../read/files.ts';

import { ThreadsLost } from './digest-pool.ts';
import type { KeySource, VerifyReport } from './findings.ts';
import { keysBeside } from './keys.ts';
import { type AnchorFile, Pass } from './pass.ts';
import type { VerifyProgress } from './progress-count.ts';
import { NeedsRetaining } from './tree-walk.ts';
import {
  filesToRead,
  missingOf,
  readVerified,
  saveVerified,
  type VerifiedStream,
  withSegments,
} from './verified-checkpoint.ts';

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
  /** Files of one or many signed notes, or directories of them, kept away from the trail. */
  readonly anchors?: readonly string[];
  /** Whether an unsigned tail, a torn tail and an open stream say 2. @default false */
  readonly strict?: boolean;
  /** File that an earlier verification saved: what it covers is not read again. One of the keys must have signed its notes. */
  readonly from?: string | undefined;
  /** File to save to, for a later `from`, where the exit status is 0. May be the same. */
  readonly saveCheckpoint?: string | undefined;
  /**
   * Threads that read and hash beside the main one; 0 for none. The report is the same whatever their number.
   * @default none for a small trail, else as many as there are cores, 4 at most
   */
  readonly threads?: number | undefined;
  /** Told of how far it is, about a thousand times a gigabyte. */
  readonly onProgress?: ((progress: VerifyProgress) => void) | undefined;
}

/** The note that a writer left beside its stream; undefined where it is gone. */
async function readCheckpoint(path: string): Promise<AnchorFile | undefined> {
  try {
    return { path, note: await readFile(path, 'utf8') };
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT') return undefined;
    throw new RiskTrailError('FILE_UNREADABLE', { path, reason: message }, error);
  }
}

/** The files without sealed ones that hold what the plain one in front of them holds. */
async function withoutTwins(files: readonly string[]): Promise<readonly string[]> {
  const twins = new Set<string>();
  for (const [index, path] of files.entries()) {
    if (path === `${files[index - 1]}.zst` && (await isTwin(files[index - 1] as string, path))) twins.add(path);
  }
  return twins.size === 0 ? files : files.filter((path) => !twins.has(path));
}

/** A verification's outcome, and what a later one can go on from. */
export interface VerifyOutcome {
  readonly report: VerifyReport;
  /** Of each stream without a finding that says 1 or 2, and with a checkpoint that fits. */
  readonly verified: readonly VerifiedStream[];
}

/**
 * Verifies a trail. Works on a journal that is being written.
 *
 * Memory: a journal in order is folded into its tree as it is read. Where records come in any order, or more than once, 41
 * bytes a record and 48 a checkpoint are kept; a journal in which that shows only on the way is read a second time.
 * @example
 * const report = await verifyTrail({ paths: ['risktrail-data'], keys: parseVerifierKeys(vkey) });
 * if (!report.ok) console.log(formatVerifyReport(report));
 * @throws RiskTrailError PATH_NOT_FOUND, FILE_UNREADABLE, NOTHING_TO_VERIFY, VERIFIER_KEY_MISSING, VERIFIER_KEY_INVALID,
 * VERIFIED_CHECKPOINT_INVALID, FILE_UNWRITABLE
 */
export async function verifyTrail(options: VerifyOptions): Promise<VerifyReport> {
  const { report, verified } = await verifyFrom(options, options.from);
  if (options.saveCheckpoint !== undefined && report.ok) await saveVerified(options.saveCheckpoint, verified);
  return report;
}

/**
 * {@link verifyTrail}, going on from a file or from what another call came to.
 * @throws RiskTrailError as `verifyTrail`
 */
export async function verifyFrom(
  options: VerifyOptions,
  from: string | readonly VerifiedStream[] | undefined,
): Promise<VerifyOutcome> {
  const found = await findTrailFiles(options.paths);
  const given = options.keys !== undefined && options.keys.length > 0;
  // Whoever trusts a key trusts those that it handed over to.
  const keys = given
    ? trustHandovers(options.keys as readonly VerifierKey[], await handoversBeside(options.paths, found.keys))
    : await keysBeside(options.paths, found.keys);
  const before = typeof from === 'string' ? await readVerified(from, keys) : (from ?? []);
  // The notes are read before the files are listed: what they cover is on disk by then, and stays there.
  const notes = await Promise.all(found.checkpoints.map((path) => readCheckpoint(path)));
  const anchors = [...(await readAnchors(options.anchors ?? [])), ...notes.filter((note) => note !== undefined)];

  let threads = options.threads;
  const run = async (retains: boolean) => {
    const { records, directoryGiven } = await findTrailFiles(options.paths);
    if (records.length === 0) {
      throw new RiskTrailError('NOTHING_TO_VERIFY', { what: 'there are no *.jsonl or *.jsonl.zst files' });
    }
    const files = await withoutTwins(filesToRead(records, before));
    const inOrder = records.every(isSegment);
    const { onProgress } = options;
    const pass = new Pass({ files, keys, retains: retains || !inOrder, threads, verified: before, onProgress });
    for (const one of before) for (const [first, last] of missingOf(one, records)) pass.miss(one.stream, first, last);
    for (const anchor of anchors) pass.addAnchor(anchor);
    await pass.read();
    if (pass.auditRecords === 0 && before.length === 0) {
      throw new RiskTrailError('NOTHING_TO_VERIFY', { what: 'there is no audit record' });
    }
    return { results: pass.finish(!directoryGiven), records };
  };
  const attempt = async (retains: boolean): ReturnType<typeof run> => {
    try {
      return await run(retains);
    } catch (error) {
      if (error instanceof NeedsRetaining && !retains) return attempt(true);
      if (error instanceof ThreadsLost && threads !== 0) {
        threads = 0;
        return attempt(retains);
      }
      throw error;
    }
  };
  const { results, records } = await attempt(false);

  const strict = options.strict === true;
  const says = (status: 1 | 2) => results.some(({ stream }) => stream.findings.says(status, strict));
  const exitStatus = says(1) ? 1 : says(2) ? 2 : 0;
  const sound = results.filter(({ stream }) => !stream.findings.says(1, false) && !stream.findings.says(2, false));
  const verified = sound.map(({ stream }) => stream.verified()).filter((one) => one !== undefined);
  return {
    report: {
      ok: exitStatus === 0,
      keySource: given ? (options.keysSource ?? 'given') : 'beside the trail',
      streams: results.map((result) => result.report),
      exitStatus,
    },
    verified: withSegments(verified, records),
  };
}
