/** What a verifier reports: the kinds of docs/audit-format.md section 7, and the report that `--json` prints. */

/** Kinds of finding, with the exit status that each says. */
export const FINDING_EXIT = {
  INVALID: 1,
  ROOT_MISMATCH: 1,
  BAD_SIGNATURE: 1,
  CONFLICT: 1,
  FORK: 1,
  AFTER_CLOSE: 1,
  GAP: 2,
  TRUNCATED: 2,
  MISSING_STREAM: 2,
  TORN: 2,
  TORN_TAIL: 0,
  UNSIGNED_TAIL: 0,
  NOT_CLOSED: 0,
  PRUNED: 0,
} as const;

export type FindingKind = keyof typeof FINDING_EXIT;

/** Kinds that say 2 once `strict` is asked for. */
const STRICT_KINDS: ReadonlySet<FindingKind> = new Set<FindingKind>(['UNSIGNED_TAIL', 'NOT_CLOSED', 'TORN_TAIL']);

/** One finding; what doesn't apply is null. */
export interface Finding {
  readonly kind: FindingKind;
  /** Sequence number of the record, or the first of a range. */
  readonly sequence: number | null;
  readonly file: string | null;
  /** From 1. */
  readonly line: number | null;
  /** What was found, in words. */
  readonly detail: string;
}

/** What was found of one stream. */
export interface StreamReport {
  /** `audit.stream`; "" for lines and records that can't be told to any. */
  readonly stream: string;
  /** Distinct sequence numbers held. */
  readonly records: number;
  readonly firstSequence: number | null;
  readonly lastSequence: number | null;
  /** Checkpoint records held. */
  readonly checkpoints: number;
  /** Number of the last record below the newest checkpoint that fits, or null where none does. */
  readonly verifiedThrough: number | null;
  /** Records that no checkpoint covers yet, checkpoint records aside. */
  readonly unsignedTail: number;
  readonly closed: boolean;
  /** At most 100 of a kind. */
  readonly findings: readonly Finding[];
  /** How many more there were, all kinds together. */
  readonly findingsOmitted: number;
}

/** Where the verifier keys came from. Keys beside the trail show consistency only, not who signed. */
export type KeySource = 'given' | 'beside the trail';

/** The outcome of a verification. All but `exitStatus` is what `--json` prints. */
export interface VerifyReport {
  /** Whether the exit status is 0. */
  readonly ok: boolean;
  readonly keySource: KeySource;
  /** Sorted by name. */
  readonly streams: readonly StreamReport[];
  /** 0 all is well; 1 something was changed; 2 something is missing. */
  readonly exitStatus: 0 | 1 | 2;
}

/** The report as `--json` prints it. */
export function toReportJson(report: VerifyReport): Omit<VerifyReport, 'exitStatus'> {
  const { ok, keySource, streams } = report;
  return { ok, keySource, streams };
}

/** Findings of a kind that are listed for a stream; the rest is counted. */
const MAX_LISTED = 100;

/** Gathers the findings of one stream. */
export class FindingList {
  readonly #listed: Finding[] = [];
  readonly #counts = new Map<FindingKind, number>();
  #omitted = 0;
  readonly #tells = new Set<FindingKind>();

  /**
   * @param place where it is; what is left out is null in the report
   * @param toldOnly a finding that doesn't touch the exit status whatever its kind
   */
  add(
    kind: FindingKind,
    detail: string,
    place: { sequence?: number; file?: string; line?: number } = {},
    toldOnly = false,
  ): void {
    const count = (this.#counts.get(kind) ?? 0) + 1;
    this.#counts.set(kind, count);
    if (!toldOnly) this.#tells.add(kind);
    if (count > MAX_LISTED) {
      this.#omitted++;
      return;
    }
    this.#listed.push({
      kind,
      sequence: place.sequence ?? null,
      file: place.file ?? null,
      line: place.line ?? null,
      detail,
    });
  }

  /** Counts findings that can't be listed any more. */
  omit(kind: FindingKind, count: number): void {
    if (count === 0) return;
    this.#omitted += count;
    this.#tells.add(kind);
  }

  get omitted(): number {
    return this.#omitted;
  }

  /** By sequence number, those without one last. */
  listed(): Finding[] {
    return this.#listed.toSorted(
      (a, b) => (a.sequence ?? Number.POSITIVE_INFINITY) - (b.sequence ?? Number.POSITIVE_INFINITY) || 0,
    );
  }

  /** Whether any finding says this exit status. */
  says(status: 1 | 2, strict: boolean): boolean {
    return [...this.#tells].some((kind) => (strict && STRICT_KINDS.has(kind) ? 2 : FINDING_EXIT[kind]) === status);
  }
}
