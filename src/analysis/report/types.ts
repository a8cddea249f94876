/** What a report is made of. */
import type { Metric } from '../metrics.ts';
import type { SqlValue } from '../sql/duckdb.ts';

/** Kinds of report. */
export const REPORTS = [
  'daily',
  'trading',
  'system',
  'risk',
  'symbol',
  'errors',
  'alerts',
  'performance',
  'audit',
] as const;
export type ReportName = (typeof REPORTS)[number];

/** What a report is about. Texts are as they stand on the command line. */
export interface ReportOptions {
  /** From this time on; of `daily`, without `to`, the day. @default the beginning; of `daily`, the trail's last day */
  readonly from?: string | undefined;
  /** Up to and including this time; a bare date counts to its end. */
  readonly to?: string | undefined;
  readonly symbol?: string | undefined;
  readonly strategy?: string | undefined;
  readonly account?: string | undefined;
}

/** A part of a report: named metrics, or a table. */
export interface ReportSection {
  readonly name: string;
  readonly title: string;
  readonly metrics?: Readonly<Record<string, Metric>>;
  readonly columns?: readonly string[];
  readonly rows?: readonly (readonly SqlValue[])[];
}

/** How far the records of a report can be trusted. */
export interface ReportIntegrity {
  /** `verified`: verification found nothing; `findings`: it did; `unverified`: it was not asked for. */
  readonly status: 'verified' | 'findings' | 'unverified';
  readonly detail: string;
}

/** A report. Times are ISO 8601 in UTC. */
export interface Report {
  readonly report: ReportName;
  /** Bounds as they were asked for; null where open. */
  readonly from: string | null;
  readonly to: string | null;
  readonly filters: Readonly<Record<string, string>>;
  /** Records that it stands on, each counted once. */
  readonly records: number;
  /** Time of the first and last of them; null where there is none. */
  readonly first: string | null;
  readonly last: string | null;
  readonly integrity: ReportIntegrity;
  readonly sections: readonly ReportSection[];
}
