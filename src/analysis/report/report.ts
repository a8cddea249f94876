/** Reports: which sections each is made of, and their making in one pass over the trail. */
import type { Clock } from '../../core/clock.ts';
import { describeValue, RiskTrailError } from '../../core/errors.ts';
import { nanosToIso } from '../flat-record.ts';
import type { TrailDatabase } from '../sql/trail-database.ts';
import { parseBound } from '../time-bound.ts';
import { activation } from './activation.ts';
import { EventCounts } from './event-counts.ts';
import { type FactNeeds, factPass } from './facts.ts';
import { breakers, questions } from './questions.ts';
import {
  alertRules,
  alerts,
  errorSummary,
  errors,
  eventCounts,
  type Facts,
  orders,
  performance,
  rejections,
  risk,
  type SectionMaker,
  streams,
  symbols,
  system,
  trading,
} from './sections.ts';
import type { Report, ReportIntegrity, ReportName, ReportOptions, ReportSection } from './types.ts';

const SECTIONS: Readonly<Record<ReportName, readonly SectionMaker[]>> = {
  daily: [trading, orders, risk, rejections, system, symbols, errors, eventCounts],
  trading: [trading, orders, symbols],
  system: [system, errors],
  risk: [risk, rejections, breakers, questions, activation],
  symbol: [symbols],
  errors: [errorSummary, errors],
  alerts: [alerts, alertRules],
  performance: [performance],
  audit: [streams, eventCounts],
};

const UNVERIFIED: ReportIntegrity = {
  status: 'unverified',
  detail: 'the records were not verified: add --verify, or run risktrail verify',
};

/** `2020-03-16T14:30:00.000000000Z` as nanoseconds since the epoch. */
export function nanosOf(iso: string): string {
  return String(BigInt(Date.parse(`${iso.slice(0, 19)}Z`)) * 1_000_000n + BigInt(iso.slice(20, 29)));
}

interface Range {
  readonly from?: string | undefined;
  readonly to?: string | undefined;
}

function rangeOf(options: ReportOptions, clock: Clock): Range {
  const from = options.from === undefined ? undefined : parseBound('--from', options.from, 'from', clock);
  const to = options.to === undefined ? undefined : parseBound('--to', options.to, 'to', clock);
  if (from !== undefined && to !== undefined && from > to) {
    throw new RiskTrailError('OPTION_INVALID', {
      field: '--to',
      expected: `a time from ${from} on`,
      received: describeValue(options.to),
    });
  }
  return { from, to };
}

function lastOfAll(database: TrailDatabase): Promise<bigint | undefined> {
  const pass = factPass([{ columns: [], events: [], everything: true }], {});
  return database.withFacts(pass, async (_, counts) => new EventCounts(counts).bounds?.last);
}

/** A day's range: that of `--from`, else the day of the trail's last record. */
async function dayOf(database: TrailDatabase, range: Range): Promise<Range> {
  if (range.to !== undefined) return range;
  if (range.from !== undefined) return { from: range.from, to: `${range.from.slice(0, 10)}T23:59:59.999999999Z` };
  const last = (await database.lastTime()) ?? (await lastOfAll(database));
  if (last === undefined) return range;
  const day = nanosToIso(String(last)).slice(0, 10);
  return { from: `${day}T00:00:00.000000000Z`, to: `${day}T23:59:59.999999999Z` };
}

/**
 * Makes a report.
 * @param integrity how far the records can be trusted, where somebody has looked
 * @throws RiskTrailError OPTION_INVALID, and what `TrailDatabase.query` throws
 */
export async function makeReport(
  database: TrailDatabase,
  name: ReportName,
  options: ReportOptions,
  clock: Clock,
  integrity: ReportIntegrity = UNVERIFIED,
): Promise<Report> {
  let range = rangeOf(options, clock);
  if (name === 'daily') range = await dayOf(database, range);
  const makers = SECTIONS[name];
  const needs: readonly FactNeeds[] = makers.map((maker) => maker.needs);
  const { symbol, strategy, account } = options;
  const from = range.from === undefined ? undefined : nanosOf(range.from);
  const to = range.to === undefined ? undefined : nanosOf(range.to);
  const pass = factPass(needs, { from, to, symbol, strategy, account });
  return database.withFacts(pass, async (query, counted) => {
    const counts = new EventCounts(counted);
    const { bounds } = counts;
    const facts: Facts = {
      query,
      counts,
      fromNs: from === undefined ? (bounds?.first ?? 0n) : BigInt(from),
      toNs: to === undefined ? (bounds?.last ?? 0n) : BigInt(to),
    };
    const sections: ReportSection[] = [];
    for (const maker of makers) sections.push(await maker.make(facts));
    return {
      report: name,
      from: range.from ?? null,
      to: range.to ?? null,
      filters: Object.fromEntries(
        Object.entries({ symbol, strategy, account }).filter(([, value]) => value !== undefined),
      ) as Record<string, string>,
      records: counts.total,
      first: bounds === undefined ? null : nanosToIso(String(bounds.first)),
      last: bounds === undefined ? null : nanosToIso(String(bounds.last)),
      integrity,
      sections,
    };
  });
}
