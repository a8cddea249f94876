/** A page to look at: one HTML file with pictures, figures and incidents, drawn here, without script and without network. */
import type { Explanation } from '../explain.ts';
import type { Report, ReportIntegrity, ReportName, ReportOptions } from '../report/types.ts';
import type { SqlParameters, SqlResult } from '../sql/trail-database.ts';
import { readPageData } from './page-data.ts';
import { pageHtml } from './page-html.ts';
import { loadCharts } from './svg.ts';

/** What a page is drawn from: `openTrail` returns it. */
export interface PageTrail {
  sql(text: string, parameters?: SqlParameters): Promise<SqlResult>;
  readonly report: Readonly<Record<ReportName, (options?: ReportOptions) => Promise<Report>>>;
  integrity(verify?: boolean): Promise<ReportIntegrity>;
  explainMany(events: readonly string[]): Promise<readonly (Omit<Explanation, 'integrity'> | undefined)[]>;
}

/** What the page is of. Times and filters are as those of reports. */
export interface PageOptions extends ReportOptions {
  /** Report whose range the page is of, and whose tables stand in front. @default none: the whole trail */
  readonly report?: ReportName | undefined;
  /** Whether the trail is verified first. @default where that takes a moment */
  readonly verify?: boolean | undefined;
  /** The outcome of a verification that was made already: none is made then. */
  readonly integrity?: ReportIntegrity | undefined;
  /** @default what the page is of */
  readonly title?: string | undefined;
}

/**
 * The page as one self-contained HTML file: `<!doctype html>…`. It has no script, and fetches nothing.
 * @throws RiskTrailError ECHARTS_MISSING, and what `trail.report` and `trail.sql` throw
 * @example
 * await using trail = openTrail('./risktrail-data');
 * await writeFile('page.html', await renderPage(trail, { report: 'daily', from: '2024-01-15' }));
 */
export async function renderPage(trail: PageTrail, options: PageOptions = {}): Promise<string> {
  const charts = await loadCharts();
  const { report, title, verify, integrity, ...asked } = options;
  const front = report === undefined ? undefined : await trail.report[report](asked);
  // A day's report tells which day it is of.
  const range =
    front?.report === 'daily' ? { ...asked, from: front.from ?? asked.from, to: front.to ?? asked.to } : asked;
  const data = await readPageData(trail, range, integrity ?? (await trail.integrity(verify)));
  return pageHtml({ data, front, title, charts });
}
