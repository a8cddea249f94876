/** `/v1/alerts/rules` and `/v1/alerts/evaluate`: the rules of alerts, and what they raise over the trail. */
import type { FastifyInstance } from 'fastify';
import type { AlertRule } from '../../alerting/rule.ts';
import { addRoute } from '../define-route.ts';
import { ANSWERS, FROM, RULE_IDS, TO } from '../schemas.ts';
import type { ServerContext } from '../server-context.ts';
import { answerByThread } from './replay-routes.ts';
import { boundsOf } from './report-routes.ts';

interface EvaluateQuery {
  readonly since?: string;
  readonly until?: string;
  readonly rule?: readonly string[];
}

/** Adds the routes. @param rules those that the server was started with */
export function addAlertRuleRoutes(app: FastifyInstance, context: ServerContext, rules: readonly AlertRule[]): void {
  addRoute(app, {
    method: 'GET',
    url: '/v1/alerts/rules',
    operation: 'listAlertRules',
    tag: 'alerts',
    summary: 'The rules of alerts, with the thresholds that the server was started with.',
    answer: { description: 'The rules.', schema: ANSWERS.alertRules },
    handle: () => ({ rules }),
  });

  addRoute(app, {
    method: 'GET',
    url: '/v1/alerts/evaluate',
    operation: 'evaluateAlerts',
    tag: 'alerts',
    summary: 'What the rules raise over the records of the trail, each at its own time.',
    description: 'It is made in a thread of its own, within bounds of time and memory; who goes away ends it.',
    query: { since: FROM, until: TO, rule: RULE_IDS },
    answer: { description: 'What was raised, in that order.', schema: ANSWERS.alertEvaluation },
    tagged: true,
    handle(request, reply) {
      const { since, until, rule: only } = request.query as EvaluateQuery;
      const [from, to] = boundsOf(context, ['since', 'until'], since, until);
      const range = { paths: context.recordPaths, from: from ?? undefined, to: to ?? undefined };
      return answerByThread(context, request, reply, { kind: 'alerts', ...range, rules, only });
    },
  });
}
