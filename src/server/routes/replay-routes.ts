/** `/v1/replay`: the recorded inputs through the risk layers once more. Each answer is made in a thread of its own. */
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { parseSettings, parseSweep } from '../../analysis/replay/parameters.ts';
import { addRoute, answerTagged, goneSignal } from '../define-route.ts';
import { ANSWERS, FROM, REPLAY_SET, REPLAY_SWEEP, TO } from '../schemas.ts';
import type { ServerContext } from '../server-context.ts';
import type { ThreadQuestion } from '../threads/questions.ts';
import { boundsOf } from './report-routes.ts';

interface ReplayQuery {
  readonly from?: string;
  readonly to?: string;
  readonly set?: readonly string[];
  readonly sweep?: readonly string[];
  readonly limit?: number;
}

const EXACT =
  'Answers under other parameters are exact where the trail was recorded with recordInputs all, else bounds. It is made in a thread of its own, within bounds of time and memory; who goes away ends it.';

/**
 * What is asked of a thread: the times of the request as points in time.
 * @throws RiskTrailError OPTION_INVALID
 */
export function replayQuestion(
  context: ServerContext,
  { from, to, set = [], sweep = [], limit = 0 }: ReplayQuery,
  kind: 'replay' | 'check' | 'sweep',
  form: 'html' | 'json' = 'json',
): ThreadQuestion {
  // What is wrong with them needs no thread to be told.
  parseSettings(set);
  for (const axis of sweep) parseSweep(axis);
  const [first, last] = boundsOf(context, ['from', 'to'], from, to);
  const range = { paths: context.recordPaths, from: first ?? undefined, to: last ?? undefined };
  if (kind === 'check') return { kind, ...range };
  return kind === 'replay' ? { kind, ...range, set, limit } : { kind, ...range, set, sweep, form };
}

/** Answers with what a thread comes to, and how far the records can be trusted. */
export function answerByThread(
  context: ServerContext,
  request: FastifyRequest,
  reply: FastifyReply,
  question: ThreadQuestion,
): Promise<FastifyReply> {
  const gone = goneSignal(reply);
  const make = async (stop: AbortSignal) => withWarning(await context.threads.ask(question, stop), context);
  return answerTagged(context, request, reply, question, make, undefined, gone);
}

/** The text of a JSON object with the warning as one more member. */
const withWarning = (json: string, { integrity }: ServerContext): string =>
  `${json.slice(0, -1)},"warning":${JSON.stringify(integrity.warning)}}`;

/** Adds the routes. */
export function addReplayRoutes(app: FastifyInstance, context: ServerContext): void {
  const range = { from: FROM, to: TO };
  const answer = (kind: 'replay' | 'check' | 'sweep') => (request: FastifyRequest, reply: FastifyReply) =>
    answerByThread(context, request, reply, replayQuestion(context, request.query as ReplayQuery, kind));
  addRoute(app, {
    method: 'GET',
    url: '/v1/replay',
    operation: 'replay',
    tag: 'reports',
    summary: 'What would have come of other parameters, beside what was recorded.',
    description: EXACT,
    query: {
      set: { ...REPLAY_SET, minItems: 1, required: true },
      ...range,
      limit: {
        type: 'integer',
        minimum: 0,
        maximum: context.limits.maxRows,
        default: 1000,
        description: 'Most decisions that come out otherwise.',
      },
    },
    answer: { description: 'Both sides, and the decisions that come out otherwise.', schema: ANSWERS.replay },
    tagged: true,
    handle: answer('replay'),
  });

  addRoute(app, {
    method: 'GET',
    url: '/v1/replay/check',
    operation: 'checkReplay',
    tag: 'reports',
    summary: 'Does every recorded decision follow from the recorded inputs?',
    query: range,
    answer: { description: 'What was compared, and the first difference of each layer.', schema: ANSWERS.replayCheck },
    tagged: true,
    handle: answer('check'),
  });

  addRoute(app, {
    method: 'GET',
    url: '/v1/replay/sweep',
    operation: 'sweepReplay',
    tag: 'reports',
    summary: 'The figures of a replay for every combination of one or two parameters’ values.',
    description: `${EXACT} The page with its heat maps is /replay/sweep.`,
    query: { sweep: { ...REPLAY_SWEEP, required: true }, set: REPLAY_SET, ...range },
    answer: { description: 'The figures of every setting.', schema: ANSWERS.replaySweep },
    tagged: true,
    handle: answer('sweep'),
  });
}
