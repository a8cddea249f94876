/** `/v1/state` and `/v1/reconcile-orders`: breakers, stops, limits, trading state and open orders, now or as they were. */
import type { FastifyInstance } from 'fastify';
import { stateAt } from '../../analysis/state-at.ts';
import { type StateLayer, type StateView, stateView } from '../../analysis/state-view.ts';
import { parseBound } from '../../analysis/time-bound.ts';
import { unsettledOrders } from '../../analysis/unsettled-orders.ts';
import { differences } from '../../core/difference.ts';
import { RiskTrailError } from '../../core/errors.ts';
import { addRoute, answerTagged } from '../define-route.ts';
import { ANSWERS, AT, LAYER } from '../schemas.ts';
import type { ServerContext } from '../server-context.ts';

/** The states at a moment (as `parseBound` gives it), or at the end of the trail. */
export async function readStates(
  context: ServerContext,
  at: string | undefined,
  layers: readonly StateLayer[] | undefined,
): Promise<readonly StateView[]> {
  const states = await context.long.run(() => stateAt(context.paths, at));
  return states.map((one) => stateView(one, layers));
}

/** Adds the routes. */
export function addStateRoutes(app: FastifyInstance, context: ServerContext): void {
  addRoute(app, {
    method: 'GET',
    url: '/v1/state',
    operation: 'getState',
    tag: 'state',
    summary: 'The state of every risk layer, now or at any moment.',
    query: { at: AT, layer: LAYER },
    answer: { description: 'The states.', schema: ANSWERS.state },
    tagged: true,
    handle(request, reply) {
      const asked = request.query as { at?: string; layer?: readonly StateLayer[] };
      const at = asked.at === undefined ? undefined : parseBound('at', asked.at, 'to', context.clock);
      return answerTagged(context, request, reply, { at, layer: asked.layer }, async () => {
        const streams = await readStates(context, at, asked.layer);
        const warning = streams.length === 0 ? 'there was no trail yet at that time' : context.integrity.warning;
        return { at: at ?? null, streams, warning };
      });
    },
  });

  addRoute(app, {
    method: 'GET',
    url: '/v1/reconcile-orders',
    operation: 'listUnsettledOrders',
    tag: 'state',
    summary: 'Orders whose outcome nobody recorded: they may stand at the venue.',
    answer: { description: 'The orders.', schema: ANSWERS.unsettledOrders },
    tagged: true,
    handle(request, reply) {
      return answerTagged(context, request, reply, {}, async () => {
        const states = await context.long.run(() => stateAt(context.paths));
        return { orders: unsettledOrders(states), warning: context.integrity.warning };
      });
    },
  });

  addRoute(app, {
    method: 'GET',
    url: '/v1/state/diff',
    operation: 'getStateDiff',
    tag: 'state',
    summary: 'What differs between the state at two moments.',
    query: {
      from: { ...AT, description: 'The earlier moment.', required: true },
      to: { ...AT, description: 'The later moment; without it, the end of the trail.' },
      layer: LAYER,
    },
    answer: { description: 'What differs.', schema: ANSWERS.stateDiff },
    tagged: true,
    handle(request, reply) {
      const asked = request.query as { from: string; to?: string; layer?: readonly StateLayer[] };
      const from = parseBound('from', asked.from, 'to', context.clock);
      const to = asked.to === undefined ? undefined : parseBound('to', asked.to, 'to', context.clock);
      if (to !== undefined && from > to) {
        const expected = `a time not before from (${asked.from})`;
        throw new RiskTrailError('OPTION_INVALID', { field: 'to', expected, received: JSON.stringify(asked.to) });
      }
      return answerTagged(context, request, reply, { from, to, layer: asked.layer }, async () => {
        const before = await readStates(context, from, asked.layer);
        const after = await readStates(context, to, asked.layer);
        return {
          from,
          to: to ?? null,
          streams: after.map((one) => diffOf(one, before)),
          warning: context.integrity.warning,
        };
      });
    },
  });
}

const serviceOf = (stream: string): string => stream.slice(0, stream.lastIndexOf('/'));

/** A process that went on from another one has its stream's state for its own earlier one. */
function diffOf(after: StateView, before: readonly StateView[]) {
  const ofService = before.filter(({ stream }) => serviceOf(stream) === serviceOf(after.stream));
  const earlier =
    before.find(({ stream }) => stream === after.stream) ?? (ofService.length === 1 ? ofService[0] : undefined);
  const plain = ({ stream, last_time, last_record_id, ...layers }: StateView): unknown =>
    JSON.parse(JSON.stringify(layers), byName);
  return {
    stream: after.stream,
    began: earlier === undefined,
    differences: differences(earlier === undefined ? {} : plain(earlier), plain(after)).map(
      ({ path, before: old, after: now }) => ({
        path,
        before: old ?? null,
        after: now ?? null,
      }),
    ),
  };
}

/** Members of a list by their names, so that one that changed doesn't make the whole list differ. */
function byName(_key: string, value: unknown): unknown {
  if (!Array.isArray(value) || value.length === 0) return value;
  const nameOf = (one: unknown): unknown => {
    const { name, id, set, orderId, clientOrderId, firstRecordId } = (one ?? {}) as Record<string, unknown>;
    return name ?? id ?? set ?? orderId ?? clientOrderId ?? firstRecordId;
  };
  const names = value.map(nameOf);
  const areNames = names.every((one) => typeof one === 'string') && new Set(names).size === names.length;
  return areNames ? Object.fromEntries(value.map((one, at) => [names[at] as string, one])) : value;
}
