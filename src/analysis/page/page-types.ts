/** What the page shows, before it is drawn. */
import type { Explanation } from '../explain.ts';
import type { Report, ReportIntegrity, ReportOptions } from '../report/types.ts';
import type { SqlParameters, SqlResult } from '../sql/trail-database.ts';
import type { Stretch } from './downsample.ts';
import type { Incident } from './incidents.ts';
import type { Unit } from './periods.ts';
import type { StateAt } from './timeline.ts';

/** What is asked of a trail: what `openTrail` returns has it. */
export interface PageSource {
  sql(text: string, parameters?: SqlParameters): Promise<SqlResult>;
  readonly report: {
    readonly audit: (options?: ReportOptions) => Promise<Report>;
    readonly daily: (options?: ReportOptions) => Promise<Report>;
  };
  explainMany(events: readonly string[]): Promise<readonly (Omit<Explanation, 'integrity'> | undefined)[]>;
}

/** A stretch with what it is of, and the period that it belongs to. */
export interface PeriodStretch extends Stretch {
  readonly key: string;
  /** Start of the period, epoch ms. */
  readonly periodMs: number;
}

/** What the page is about. */
export interface Scope {
  /** Nanoseconds since the epoch, decimal, both included. */
  readonly fromNs: string;
  readonly toNs: string;
  readonly fromMs: number;
  readonly toMs: number;
  readonly unit: Unit;
  readonly symbol: string | undefined;
  readonly strategy: string | undefined;
  readonly account: string | undefined;
}

/** A trailing stop's life. Times in epoch ms; null where it didn't come to that within the range. */
export interface StopLife {
  readonly symbol: string;
  readonly stop: string;
  readonly side: string | null;
  readonly addedMs: number | null;
  readonly entryPrice: number | null;
  readonly hardStop: number | null;
  readonly activatedMs: number | null;
  readonly activatedAt: number | null;
  readonly firedMs: number | null;
  readonly firedAt: number | null;
  readonly level: number | null;
  readonly gap: number | null;
  readonly trigger: string | null;
  readonly endedMs: number | null;
  /** Its levels, from activation on. */
  readonly levels: readonly (readonly [ms: number, level: number])[];
}

/** Equity of one account. */
export interface EquityCurve {
  readonly account: string;
  /** What its values are: recorded equity, or the sum of the results. */
  readonly kind: 'equity' | 'results';
  readonly event: string;
  readonly n: number;
  readonly stretches: readonly PeriodStretch[];
  /** The deepest fall of each stretch, in the order of `stretches`: of the peak where it is equity, else in money. */
  readonly falls: readonly { readonly ms: number; readonly value: number; readonly periodMs: number }[];
}

/** States of a breaker or of trading in a scope. */
export interface StateLane {
  readonly kind: 'breaker' | 'trading';
  readonly name: string;
  readonly changes: readonly StateAt[];
}

/** The fullest that a limit was in a period. */
export interface HeatCell {
  readonly limit: string;
  readonly periodMs: number;
  readonly utilization: number | null;
  readonly denied: number;
}

/** A limit over the whole range. */
export interface LimitTotal {
  readonly limit: string;
  readonly results: number;
  readonly highest: number | null;
  readonly highestMs: number | null;
  readonly warm: number;
  readonly denied: number;
}

/** Durations. */
export interface Latency {
  /** Counts by class of the logarithm: see `LATENCY_CLASSES`; null is 0 ms. */
  readonly classes: readonly { readonly at: number | null; readonly n: number }[];
  readonly operations: readonly {
    readonly event: string;
    readonly operation: string | null;
    readonly n: number;
    readonly p50: number;
    readonly p95: number;
    readonly p99: number;
    readonly max: number;
  }[];
  readonly all:
    | { readonly n: number; readonly p50: number; readonly p95: number; readonly p99: number; readonly max: number }
    | undefined;
}

/** A part of the range, drawn larger. */
export interface CloseUp {
  readonly scope: Scope;
  readonly symbol: string;
  readonly stretches: readonly PeriodStretch[];
  readonly stops: readonly StopLife[];
}

/** All that the page shows. */
export interface PageData {
  readonly scope: Scope | undefined;
  readonly integrity: ReportIntegrity;
  /** Records within range and filters. */
  readonly audit: Report;
  /** Streams and counts of events within the range, whatever is filtered. */
  readonly whole: Report;
  /** Figures of trading, orders, risk and system over the range. */
  readonly figures: Report | undefined;
  readonly prices: ReadonlyMap<string, readonly PeriodStretch[]>;
  /** Symbols with prices or stops that have no picture. */
  readonly otherSymbols: readonly string[];
  readonly stops: readonly StopLife[];
  readonly stopsLeftOut: number;
  /** The newest stops of the first symbol, where there are too many to be told apart in the whole range. */
  readonly closeUp: CloseUp | undefined;
  readonly equity: readonly EquityCurve[];
  readonly otherAccounts: number;
  readonly lanes: readonly StateLane[];
  readonly heat: readonly HeatCell[];
  readonly limits: readonly LimitTotal[];
  readonly latency: Latency;
  readonly incidents: readonly Incident[];
  readonly incidentsLeftOut: number;
}
