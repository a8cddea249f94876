/** Keeps verifying the trail beside the server's work, so that every answer can say how far its records can be trusted. */
import type { VerifiedStream } from '../audit/verify/verified-checkpoint.ts';
import {
  FINDING_EXIT,
  toReportJson,
  type VerifyOutcome,
  type VerifyReport,
  verifyFrom,
} from '../audit/verify/verify.ts';
import type { Clock } from '../core/clock.ts';
import { isRiskTrailError } from '../core/errors.ts';

/** What is known of the trail's integrity. */
export interface Integrity {
  /** `verified`: nothing is wrong; `findings`: something is; `unverified`: nobody has looked yet, or could not. */
  readonly status: 'verified' | 'findings' | 'unverified';
  readonly detail: string;
  /** When the newest verification ended; null before the first. */
  readonly checked_at: string | null;
}

/** A verification's report, as it is answered. */
export type IntegrityReport = ReturnType<typeof toReportJson>;

export interface IntegrityOptions {
  readonly paths: readonly string[];
  readonly clock: Clock;
  /** What the files are like now: where it is what it was, nothing needs verifying. */
  version(): Promise<string>;
  /** Rest between two looks in the background, in milliseconds; 0 for none. */
  readonly intervalMs: number;
}

const NEVER: Integrity = { status: 'unverified', detail: 'the records were not verified yet', checked_at: null };

export class IntegrityKeeper {
  readonly #options: IntegrityOptions;
  #integrity: Integrity = NEVER;
  #report: { readonly version: string; readonly report: VerifyReport } | undefined;
  #verified: readonly VerifiedStream[] | undefined;
  #running: Promise<IntegrityReport> | undefined;
  #timer: NodeJS.Timeout | undefined;
  #stopped = false;

  constructor(options: IntegrityOptions) {
    this.#options = options;
  }

  /** Begins verifying in the background: the whole once, then what was written since. */
  start(): void {
    if (this.#options.intervalMs > 0) void this.#look();
  }

  /** What is known now. */
  get known(): Integrity {
    return this.#integrity;
  }

  /** A sentence for answers that stand on records which are not verified; null where they are. */
  get warning(): string | null {
    const { status, detail } = this.#integrity;
    return status === 'verified' ? null : detail;
  }

  /**
   * Verifies the whole trail as it stands, unless it was and nothing has changed; who asks meanwhile shares the outcome.
   * @throws RiskTrailError as `verifyTrail`
   */
  async verify(): Promise<IntegrityReport> {
    const version = await this.#options.version();
    if (this.#report?.version === version) return toReportJson(this.#report.report);
    this.#running ??= this.#verify(version, undefined).finally(() => {
      this.#running = undefined;
    });
    return this.#running;
  }

  stop(): void {
    this.#stopped = true;
    clearTimeout(this.#timer);
  }

  async #look(): Promise<void> {
    try {
      const version = await this.#options.version();
      if (this.#report?.version !== version && this.#running === undefined) await this.#verify(version, this.#verified);
    } catch (error) {
      const detail = `the records could not be verified: ${(error as Error).message}`;
      this.#integrity = { ...NEVER, detail, checked_at: this.#now() };
    }
    if (this.#stopped) return;
    this.#timer = setTimeout(() => void this.#look(), this.#options.intervalMs);
    this.#timer.unref();
  }

  async #verify(version: string, from: readonly VerifiedStream[] | undefined): Promise<IntegrityReport> {
    const options = { paths: this.#options.paths };
    let outcome = await verifyFrom(options, from);
    // A file that is sealed or pruned while it is read may look like a gap: what is wrong is so the second time as well.
    if (!outcome.report.ok) outcome = await this.#again(options, outcome);
    this.#verified = outcome.verified;
    if (from === undefined) this.#report = { version, report: outcome.report };
    this.#integrity = { ...integrityOf(outcome.report), checked_at: this.#now() };
    return toReportJson(outcome.report);
  }

  async #again(options: { readonly paths: readonly string[] }, first: VerifyOutcome): Promise<VerifyOutcome> {
    try {
      return await verifyFrom(options, undefined);
    } catch (error) {
      if (isRiskTrailError(error)) return first;
      throw error;
    }
  }

  #now(): string {
    return new Date(this.#options.clock.now()).toISOString();
  }
}

function integrityOf({ ok, keySource, streams }: VerifyReport): Omit<Integrity, 'checked_at'> {
  const source = keySource === 'given' ? '' : ', by the key beside the trail (consistent, but not who signed it)';
  if (ok) return { status: 'verified', detail: `nothing was changed and nothing is missing${source}` };
  const kinds = streams.flatMap(({ findings }) =>
    findings.filter(({ kind }) => FINDING_EXIT[kind] > 0).map(({ kind }) => kind),
  );
  return { status: 'findings', detail: `verification found ${[...new Set(kinds)].sort().join(', ')}: see /v1/verify` };
}
