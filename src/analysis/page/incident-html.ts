/** The list of incidents, each unfolding into its explanation. */
import { durationText, timeText } from './format.ts';
import { cut, type Html, type HtmlValue, html } from './html.ts';
import type { Incident } from './incidents.ts';
import type { PageData } from './page-types.ts';
import { MAX_TEXT, moreHtml } from './report-html.ts';

export function incidentsHtml({ incidents, incidentsLeftOut, integrity }: PageData): HtmlValue {
  if (incidents.length === 0) {
    return html`<p class="empty">No incident: in this range nothing halted, no breaker opened, no rule was breached, no order’s outcome stayed unknown and no record was lost.</p>`;
  }
  const trust =
    integrity.status === 'verified'
      ? `The stream: ${cut(integrity.detail, 300)}.`
      : 'The stream as a whole is not verified.';
  return html`<p class="lede">The newest first. Each unfolds into what led to it and what followed, record by record.</p>
<ul class="incidents">${incidents.map((one) => incidentHtml(one, trust))}</ul>
${moreHtml(incidentsLeftOut, incidentsLeftOut === 1 ? 'incident' : 'incidents', 'risktrail events -e risk.trading_state_change -e risk.circuit_breaker.state_change')}`;
}

function incidentHtml(one: Incident, trust: string): Html {
  const lasted = one.lastedMs !== null ? durationText(one.lastedMs) : one.ongoing ? 'not ended' : '';
  const where = one.scope === null ? '' : `, ${one.scope}`;
  const steps =
    one.steps.length === 0
      ? null
      : html`<ol class="steps">${one.steps.map((step) => html`<li><span class="part">${timeOf(step.time)} · ${PARTS[step.part]}</span><br>${cut(step.text, MAX_TEXT)}${step.integrity === 'changed' ? html` <span class="bad">This record is not what was written.</span>` : null}</li>`)}</ol>`;
  const changed = one.steps.filter(({ integrity }) => integrity === 'changed').length;
  const intact = one.steps.filter(({ integrity }) => integrity === 'intact').length;
  const trace = one.steps.find(({ part, traceId }) => part === 'event' && traceId !== null)?.traceId;
  const stands =
    one.steps.length === 0
      ? ''
      : changed > 0
        ? `${changed} of ${one.steps.length} records are not what was written.`
        : `${intact} of ${one.steps.length} records are what was hashed when they were written.`;
  return html`<li data-incident="${one.recordId}"><details><summary><time datetime="${new Date(one.ms).toISOString()}">${timeText(one.ms)}</time><span class="tag ${one.gravity}">${one.what}<span class="sr">${where}</span></span><span class="text">${cut(one.text, MAX_TEXT)}</span><span class="lasted">${lasted}</span></summary>
<div class="why"><p>${one.answer === null ? cut(one.text, MAX_TEXT) : cut(one.answer, 1500)}</p>${steps}
<p class="note">${stands} ${trust}</p><p class="note">${trace === undefined ? null : html`Trace <code>${trace}</code> · `}${one.recordId === null ? null : html`<code>risktrail explain --event ${one.recordId}</code>`}</p></div></details></li>\n`;
}

const PARTS = { led: 'led there', cause: 'cause', event: 'this', followed: 'followed' } as const;

const timeOf = (iso: string): string => iso.slice(0, 19).replace('T', ' ');
