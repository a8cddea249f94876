/** What the page shows, asked of the trail by SQL. Every query is bounded by the picture, not by the trail. */
import { nanosOf } from '../report/report.ts';
import type { ReportIntegrity, ReportOptions } from '../report/types.ts';
import { msOf } from './format.ts';
import { readIncidents } from './incidents.ts';
import type { PageData, PageSource, PeriodStretch, Scope, StopLife } from './page-types.ts';
import { unitOf } from './periods.ts';
import { readCloseUp, readEquity, readPrices, readStops } from './read-series.ts';
import { readHeat, readLanes, readLatency } from './read-states.ts';

const MAX_SYMBOLS = 4;

const MAX_ACCOUNTS = 4;

/**
 * Asks all of it. Queries run one after the other.
 * @throws RiskTrailError what `Trail.sql` and `Trail.report` throw
 */
export async function readPageData(
  source: PageSource,
  asked: ReportOptions,
  integrity: ReportIntegrity,
): Promise<PageData> {
  const { symbol, strategy, account, from, to } = asked;
  const audit = await source.report.audit(asked);
  // Where the range ends, and what state things are in then, has nothing to do with what is filtered.
  const whole = Object.keys(audit.filters).length === 0 ? audit : await source.report.audit({ from, to });
  if (audit.first === null || whole.first === null || whole.last === null) return { ...EMPTY, integrity, audit, whole };
  const fromNs = nanosOf(whole.from ?? whole.first);
  const toNs = nanosOf(whole.last);
  const fromMs = msOf(fromNs);
  const toMs = msOf(toNs);
  const scope: Scope = { fromNs, toNs, fromMs, toMs, unit: unitOf(toMs - fromMs), symbol, strategy, account };
  const figures = await source.report.daily({ ...asked, from: whole.from ?? whole.first, to: whole.last });
  const counts = new Map(
    (whole.sections.find(({ name }) => name === 'events')?.rows ?? []).map(([event, n]) => [String(event), Number(n)]),
  );
  const prices = await readPrices(source, scope);
  const { stops, leftOut } = await readStops(source, scope);
  const bySize = [...new Set([...prices.keys(), ...stops.map((stop) => stop.symbol)])].sort(
    (a, b) => weight(prices, stops, b) - weight(prices, stops, a) || (a < b ? -1 : 1),
  );
  const shown = new Set(bySize.slice(0, MAX_SYMBOLS));
  const equity = await readEquity(source, scope, counts);
  const { incidents, leftOut: incidentsLeftOut } = await readIncidents(source, scope);
  return {
    scope,
    integrity,
    audit,
    whole,
    figures,
    prices: new Map([...shown].map((name) => [name, prices.get(name) ?? []])),
    otherSymbols: bySize.slice(MAX_SYMBOLS),
    stops,
    stopsLeftOut: leftOut,
    closeUp: await readCloseUp(source, scope, bySize[0], stops),
    equity: equity.slice(0, MAX_ACCOUNTS),
    otherAccounts: Math.max(0, equity.length - MAX_ACCOUNTS),
    lanes: await readLanes(source, scope),
    ...(await readHeat(source, scope)),
    latency: await readLatency(source, scope),
    incidents,
    incidentsLeftOut,
  };
}

/** Stops count more than prices: what is guarded is what is looked for. */
function weight(
  prices: ReadonlyMap<string, readonly PeriodStretch[]>,
  stops: readonly StopLife[],
  symbol: string,
): number {
  const seen = (prices.get(symbol) ?? []).reduce((sum, { n }) => sum + n, 0);
  return seen + 1000 * stops.filter((stop) => stop.symbol === symbol).length;
}

const EMPTY = {
  scope: undefined,
  figures: undefined,
  prices: new Map<string, readonly PeriodStretch[]>(),
  otherSymbols: [],
  stops: [],
  stopsLeftOut: 0,
  closeUp: undefined,
  equity: [],
  otherAccounts: 0,
  lanes: [],
  heat: [],
  limits: [],
  latency: { classes: [], operations: [], all: undefined },
  incidents: [],
  incidentsLeftOut: 0,
} as const;
