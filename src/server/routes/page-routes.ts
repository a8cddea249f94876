/** `/`, `/reports/…` and `/replay/sweep`: the pages of `risktrail report --html` and `replay --html`, live. They have no script, and fetch nothing. */
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { type ReportName, renderPage } from '../../analysis/index.ts';
import { REPORTS } from '../../analysis/report/types.ts';
import { answerTagged, goneSignal } from '../define-route.ts';
import { FROM, REPLAY_SET, REPLAY_SWEEP, REPORT_QUERY, TO } from '../schemas.ts';
import type { ServerContext } from '../server-context.ts';
import { replayQuestion } from './replay-routes.ts';
import { boundsOf } from './report-routes.ts';

/** A page has styles and pictures in itself, and nothing else. */
const CSP =
  "default-src 'none'; style-src 'unsafe-inline'; img-src data:; font-src data:; frame-ancestors 'none'; base-uri 'none'; form-action 'none'";

interface PageQuery {
  readonly from?: string;
  readonly to?: string;
  readonly symbol?: string;
  readonly strategy?: string;
  readonly account?: string;
}

/** Adds the routes: pages for people, which the OpenAPI document leaves out. */
export function addPageRoutes(app: FastifyInstance, context: ServerContext): void {
  const { verify: _, ...query } = REPORT_QUERY;
  const querystring = { type: 'object', additionalProperties: false, properties: query };
  const page = (request: FastifyRequest, reply: FastifyReply, report: ReportName | undefined) => {
    const asked = request.query as PageQuery;
    const bounds = boundsOf(context, ['from', 'to'], asked.from, asked.to);
    reply.header('content-security-policy', CSP);
    const { status, detail } = context.integrity.known;
    const make = () =>
      context.long.run(() => renderPage(context.trail, { ...asked, report, integrity: { status, detail } }));
    return answerTagged(context, request, reply, { asked, bounds, report }, make, 'text/html');
  };
  const hidden = { config: { scope: 'read' } as object };
  app.get('/', { ...hidden, schema: { hide: true, querystring } as object }, (request, reply) =>
    page(request, reply, undefined),
  );
  const params = { type: 'object', properties: { name: { type: 'string', enum: REPORTS } } };
  app.get('/reports/:name', { ...hidden, schema: { hide: true, querystring, params } as object }, (request, reply) =>
    page(request, reply, (request.params as { name: ReportName }).name),
  );

  const sweep = { from: FROM, to: TO, sweep: REPLAY_SWEEP, set: REPLAY_SET };
  const asked = { type: 'object', additionalProperties: false, properties: sweep, required: ['sweep'] };
  app.get('/replay/sweep', { ...hidden, schema: { hide: true, querystring: asked } as object }, (request, reply) => {
    reply.header('content-security-policy', CSP);
    const question = replayQuestion(context, request.query as object, 'sweep', 'html');
    const make = (stop: AbortSignal) => context.threads.ask(question, stop);
    return answerTagged(context, request, reply, question, make, 'text/html', goneSignal(reply));
  });
}
