/**
 * Keeps verifying a live trail. Each look goes on from the newest checkpoint that fitted in the one before, so it costs what was
 * written since; a stream in which something is wrong stays at the last checkpoint before that.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { isRiskTrailError } from '../../core/errors.ts';
import { FINDING_EXIT, type Finding, type FindingKind, type VerifyReport } from './findings.ts';
import type { VerifiedStream } from './verified-checkpoint.ts';
import { type VerifyOptions, type VerifyOutcome, verifyFrom } from './verify.ts';

/** A finding that says 1 or 2, and the stream that it was found in. */
export interface StreamFinding extends Finding {
  /** "" for lines that can't be told to any. */
  readonly stream: string;
}

/** What to verify, and how to go on. */
export interface VerifyFollowOptions extends Omit<VerifyOptions, 'saveCheckpoint'> {
  /** Ends the following; what is being looked at is looked at to its end. */
  readonly signal: AbortSignal;
  /** Rest between two looks, in milliseconds. @default 1000 */
  readonly intervalMs?: number | undefined;
  /** Told of the outcome of each look, findings first told. */
  readonly onLook?: ((report: VerifyReport) => void | Promise<void>) | undefined;
  /** Told of each finding that says 1 or 2, once. */
  readonly onFinding: (finding: StreamFinding) => void | Promise<void>;
}

const INTERVAL_MS = 1000;
/** Kinds of which a stream has one at a time, with words that change as the stream grows. */
const ONE_A_STREAM: ReadonlySet<FindingKind> = new Set<FindingKind>(['TRUNCATED', 'MISSING_STREAM']);

/** What makes a finding the same one in the next look: sealing renames its file meanwhile. */
function identityOf({ stream, kind, sequence, file, line }: StreamFinding): string {
  if (ONE_A_STREAM.has(kind)) return `${stream} ${kind}`;
  return sequence === null
    ? `${stream} ${kind} ${file?.replace(/\.zst$/, '')} ${line}`
    : `${stream} ${kind} ${sequence}`;
}

function seriousOf(report: VerifyReport): StreamFinding[] {
  return report.streams.flatMap(({ stream, findings }) =>
    findings.filter(({ kind }) => FINDING_EXIT[kind] > 0).map((finding) => ({ ...finding, stream })),
  );
}

/** For each stream the newest that was verified. */
function newest(before: readonly VerifiedStream[], next: readonly VerifiedStream[]): VerifiedStream[] {
  const streams = new Map([...before, ...next].map((one) => [one.stream, one]));
  return [...streams.values()];
}

/**
 * Verifies a trail again and again until it is told to stop.
 * @returns the last report, and the exit status of all that was found: 1 if anything said 1, else 2 if anything said 2
 * @throws RiskTrailError as `verifyTrail` does, by the first look; a later one that fails is tried again
 */
export async function followVerification(
  options: VerifyFollowOptions,
): Promise<{ report: VerifyReport; exitStatus: 0 | 1 | 2 }> {
  const { signal, onLook, onFinding, intervalMs = INTERVAL_MS } = options;
  const told = new Set<string>();
  let worst: 0 | 1 | 2 = 0;
  let verified: readonly VerifiedStream[] | undefined;
  let report: VerifyReport | undefined;
  const isNew = (finding: StreamFinding) => !told.has(identityOf(finding));
  const look = () => verifyFrom(options, verified ?? options.from);
  const lookTwice = async () => {
    const outcome = await look();
    // A file that is sealed or pruned while it is read may look like a gap: what is wrong is so the second time as well.
    return seriousOf(outcome.report).some(isNew) ? look() : outcome;
  };

  for (;;) {
    let outcome: VerifyOutcome | undefined;
    try {
      outcome = await lookTwice();
    } catch (error) {
      if (report === undefined || !isRiskTrailError(error)) throw error;
    }
    if (outcome !== undefined) {
      report = outcome.report;
      for (const finding of seriousOf(report).filter(isNew)) {
        told.add(identityOf(finding));
        const status = FINDING_EXIT[finding.kind] as 1 | 2;
        if (worst === 0 || status === 1) worst = status;
        await onFinding(finding);
      }
      verified = newest(verified ?? [], outcome.verified);
      await onLook?.(report);
    }
    if (signal.aborted) break;
    await sleep(intervalMs, undefined, { signal }).catch(() => {});
    if (signal.aborted) break;
  }
  const last = (report as VerifyReport).exitStatus;
  return { report: report as VerifyReport, exitStatus: worst === 1 || last === 1 ? 1 : worst || last };
}
