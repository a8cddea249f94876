/** The page as HTML: what stands where. */
import type { Metric } from '../metrics.ts';
import type { Report } from '../report/types.ts';
import { durationText, number, numberText, percentText, timeText } from './format.ts';
import { Html, type HtmlValue, html } from './html.ts';
import { incidentsHtml } from './incident-html.ts';
import type { PageData, Scope } from './page-types.ts';
import { sectionHtml } from './report-html.ts';
import { deepestOf, equityHtml, pricesHtml } from './series-figures.ts';
import { heatHtml, type Lane, lanesOf, latencyHtml, statesHtml } from './state-figures.ts';
import { STYLE } from './style.ts';
import type { Charts } from './svg.ts';
import { type Standing, standingOf, timeIn } from './timeline.ts';

/** What a page is made of. */
export interface PageParts {
  readonly data: PageData;
  /** The report that stands in front. */
  readonly front: Report | undefined;
  readonly title: string | undefined;
  readonly charts: Charts;
}

const CSP = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'";

/** The whole file. */
export function pageHtml({ data, front, title, charts }: PageParts): string {
  const { scope, audit } = data;
  const heading = title ?? headingOf(front, audit);
  const lanes = scope === undefined ? [] : lanesOf(data, scope);
  const sections: (readonly [id: string, name: string, body: HtmlValue])[] =
    scope === undefined
      ? []
      : [
          ...(front === undefined ? [] : [['report', `Report: ${front.report}`, reportTables(front)] as const]),
          ['incidents', 'Incidents', incidentsHtml(data)],
          ['states', 'Circuit breakers and trading', statesHtml(charts, scope, lanes)],
          ['limits', 'Limits', heatHtml(charts, data, scope)],
          ['prices', 'Prices and stops', pricesHtml(charts, data, scope)],
          ['equity', 'Equity and drawdown', equityHtml(charts, data, scope)],
          ['latency', 'Latency', latencyHtml(charts, data)],
          ...(data.figures === undefined || front?.report === 'daily'
            ? []
            : [['figures', 'All figures', figuresHtml(data.figures)] as const]),
          ['trail', 'The trail behind this page', trailHtml(data)],
        ];
  const body = html`<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta http-equiv="Content-Security-Policy" content="${new Html(CSP)}">
<meta name="viewport" content="width=device-width, initial-scale=1"><meta name="color-scheme" content="light dark"><meta name="referrer" content="no-referrer"><meta name="generator" content="risktrail">
<title>${heading}</title><style>${new Html(STYLE)}</style></head>
<body><a class="skip" href="#main">To the figures</a><div class="page">
<header><h1>${heading}</h1><p class="lede">${rangeText(audit)}</p>
<nav aria-label="Parts of this page"><ul>${sections.map(([id, name]) => html`<li><a href="#${id}">${name}</a></li>`)}</ul></nav></header>
<main id="main">${bannerHtml(data)}
${scope === undefined ? emptyHtml(audit) : [verdictHtml(data, scope, lanes), cardsHtml(data, scope, lanes)]}
${sections.map(([id, name, part]) => html`<section id="${id}" aria-labelledby="${id}-heading"><h2 id="${id}-heading">${name}</h2>${part}</section>\n`)}
</main><footer><p>Drawn by risktrail from the trail’s own records. All times are UTC. The page has no script and fetches nothing.</p></footer></div></body></html>
`;
  return body.text;
}

function headingOf(front: Report | undefined, audit: Report): string {
  const [stream] = (audit.sections.find(({ name }) => name === 'streams')?.rows ?? []).map(([name]) => String(name));
  const service = stream?.includes('/') ? stream.slice(0, stream.lastIndexOf('/')) : 'Trading risk';
  const day = front?.report === 'daily' && front.from !== null ? `, ${front.from.slice(0, 10)}` : '';
  return `${service}: ${front === undefined ? 'risk' : front.report}${day}`;
}

function rangeText(audit: Report): string {
  const filters = Object.entries(audit.filters).map(([name, value]) => `${name} ${value}`);
  if (audit.first === null || audit.last === null) return ['No records', ...filters].join(', ');
  const of = `${numberText(audit.records)} ${audit.records === 1 ? 'record' : 'records'}, ${audit.first.slice(0, 19).replace('T', ' ')} to ${audit.last.slice(0, 19).replace('T', ' ')} UTC`;
  return [of, ...filters].join(', ');
}

function emptyHtml(audit: Report): Html {
  const asked = Object.keys(audit.filters).length > 0 || audit.from !== null || audit.to !== null;
  return html`<p class="empty">${asked ? 'The trail has no record within the time and filters that were asked for. That is not the same as a quiet day: widen them to see what there is.' : 'The trail has no record yet. Once the service starts, its records appear here.'}</p>`;
}

function bannerHtml({ integrity }: PageData): HtmlValue {
  if (integrity.status === 'verified') return null;
  if (integrity.status === 'findings') {
    return html`<div class="banner halted" role="note"><p><strong>Verification found something: do not rely on this page before it is cleared up.</strong> ${integrity.detail}</p></div>`;
  }
  return html`<div class="banner" role="note"><p><strong>This page stands on records that were not verified.</strong> ${integrity.detail}</p></div>`;
}

const worst = (lanes: readonly Lane[], standing: Standing): readonly Lane[] =>
  lanes.filter(({ last }) => last !== undefined && standingOf(last.state) === standing);

function verdictHtml({ limits }: PageData, scope: Scope, lanes: readonly Lane[]): Html {
  const halted = worst(lanes, 'halted');
  const care = [...worst(lanes, 'caution'), ...worst(lanes, 'off')];
  const known = lanes.filter(({ last }) => last !== undefined);
  const named = (list: readonly Lane[]) =>
    list.map(({ title, last }) => `${title} is ${last!.state} since ${timeText(last!.fromMs)}`).join('; ');
  const at = `as of the last record, ${timeText(scope.toMs)} UTC`;
  const high = limits.filter(({ highest, denied }) => (highest ?? 0) >= 1 || denied > 0).length;
  const more =
    limits.length === 0
      ? 'No limit was evaluated.'
      : high === 0
        ? 'No limit was reached in this range.'
        : `${numberText(high)} of ${numberText(limits.length)} limits were reached at some time in this range.`;
  const verdict = (kind: string, sign: string, head: string, detail: string) =>
    html`<div class="verdict ${kind}"><span class="sign" aria-hidden="true">${sign}</span><strong>${head}</strong><p>${detail}</p></div>`;
  if (known.length === 0)
    return verdict(
      'unknown',
      '?',
      'Whether trading is safe cannot be told',
      `No record says in which state trading or a circuit breaker is, ${at}. ${more}`,
    );
  if (halted.length > 0)
    return verdict('halted', '■', 'Trading is halted, at least in part', `${named(halted)}, ${at}. ${more}`);
  if (care.length > 0)
    return verdict('caution', '◆', 'Trading goes on with restrictions', `${named(care)}, ${at}. ${more}`);
  const breakers = known.filter(({ kind }) => kind === 'breaker').length;
  const trading = known.length - breakers;
  const all = [
    trading > 0 ? 'trading is ACTIVE in every scope' : '',
    breakers > 0 ? `${breakers === 1 ? 'the circuit breaker is' : `all ${breakers} circuit breakers are`} CLOSED` : '',
  ]
    .filter((part) => part !== '')
    .join(', and ');
  return verdict('ok', '✓', 'Nothing is halted', `${all.charAt(0).toUpperCase()}${all.slice(1)}, ${at}. ${more}`);
}

function metricOf(report: Report | undefined, name: string): Metric | undefined {
  for (const section of report?.sections ?? []) {
    const metric = section.metrics?.[name];
    if (metric !== undefined) return metric;
  }
  return undefined;
}

function cardsHtml({ figures, integrity, equity }: PageData, scope: Scope, lanes: readonly Lane[]): Html {
  const shown = (name: string) => metricOf(figures, name)?.value ?? null;
  const card = (name: string, key: string, value: HtmlValue, by: HtmlValue) =>
    html`<div data-figure="${key}"><dt>${name}</dt><dd><div class="value">${value}</div><div class="by">${by}</div></dd></div>`;
  const count = (name: string) => number(shown(name));
  const share = (name: string) => number(shown(name), percentText);
  const trading = lanes.filter(({ kind }) => kind === 'trading');
  const haltedMs = trading.reduce((sum, { segments }) => sum + timeIn(segments).halted, 0);
  const verified = { verified: 'Verified', findings: 'Findings', unverified: 'Not verified' }[integrity.status];
  const through = [...integrity.detail.matchAll(/verified through record (\d+)/g)].map(([, record]) => Number(record));
  const trusted =
    through.length === 1
      ? `through record ${numberText(through[0]!)}`
      : through.length > 1
        ? `${through.length} streams`
        : 'the whole is told below';
  const result = metricOf(figures, 'total_pnl');
  const deepest = equity.length === 1 ? deepestOf(equity[0]!) : undefined;
  return html`<dl class="cards">
${card('Trading halts', 'trading_halts', count('trading_halts'), haltedMs > 0 ? `${percentText(haltedMs / Math.max(1, (scope.toMs - scope.fromMs) * trading.length))} of the time, ${durationText(haltedMs)}` : 'never halted in this range')}
${card('Breaker openings', 'breaker_openings', count('breaker_openings'), html`calls refused: ${count('breaker_refusals')}`)}
${card('Orders placed', 'orders_placed', count('orders_placed'), html`filled: ${count('orders_filled')}`)}
${card('Orders rejected', 'orders_rejected', count('orders_rejected'), html`${share('rejection_rate')} of placed and rejected`)}
${card('Entries denied', 'entries_rejected', count('entries_rejected'), html`${share('entry_rejection_rate')} of ${count('limit_checks')} checks`)}
${card('Stops fired', 'stops_triggered', count('stops_triggered'), html`added: ${count('stops_added')}, activated: ${count('stops_activated')}`)}
${card('Result', 'total_pnl', result === undefined || result.value === null ? number(null) : number(result.value), result === undefined || result.value === null ? (result?.undefinedBecause ?? 'no result') : html`trades: ${count('total_trades')}, ${share('win_rate')} won`)}
${card('Deepest drawdown', 'drawdown', deepest === undefined ? number(null) : number(deepest.value, deepest.text), deepest === undefined ? 'one account only' : timeText(deepest.ms).slice(0, 10))}
${card('Errors', 'total_errors', count('total_errors'), html`warnings: ${count('total_warnings')}`)}
${card('Verification', 'verification', verified, html`<a href="#trail">${trusted}</a>`)}
</dl>`;
}

/** The report’s own tables, in front. */
function reportTables(front: Report): HtmlValue {
  return html`<div class="open">${front.sections.map(sectionHtml)}</div>`;
}

function figuresHtml(figures: Report): HtmlValue {
  return html`<p class="lede">Every figure with its convention and the number of observations that it stands on.</p><div class="figures">${figures.sections.map((section) => html`<details><summary>${section.title}</summary>${sectionHtml(section)}</details>`)}</div>`;
}

function trailHtml({ whole, integrity }: PageData): HtmlValue {
  return html`<p class="lede">${integrity.detail}</p>${whole.sections.filter(({ name }) => name === 'streams').map(sectionHtml)}`;
}
