/** `/v1/events`: pages of records, and single ones. */
import type { FastifyInstance } from 'fastify';
import { conditionKey, type FilterOptions } from '../../analysis/filter.ts';
import { isKnownKey, KNOWN_KEYS } from '../../analysis/flat-record.ts';
import { RiskTrailError } from '../../core/errors.ts';
import { nearest } from '../../core/options.ts';
import { addRoute, answerTagged } from '../define-route.ts';
import { type Order, questionOf, readCursor, writeCursor } from '../pages/place.ts';
import { readRecordTest, recordIdTest } from '../pages/record-test.ts';
import { inOrders, type TrailView } from '../pages/trail-pieces.ts';
import { ANSWERS, FILTERS, ORDER, paging, TEXT } from '../schemas.ts';
import type { ServerContext } from '../server-context.ts';

/** What a caller may ask records by: the filters, in the spelling of parameters. */
export interface FilterQuery extends Omit<FilterOptions, 'minDuration'> {
  readonly min_duration?: number;
}

interface EventsQuery extends FilterQuery {
  readonly limit: number;
  readonly cursor?: string;
  readonly order: Order;
}

/** First parts of the catalogue's names. */
const FAMILIES: ReadonlySet<string> = new Set(
  KNOWN_KEYS.filter((key) => key.includes('.')).map((key) => key.split('.', 1)[0]!),
);

/**
 * Parameters as the filters that the trail is read by.
 * @throws RiskTrailError OPTION_INVALID where a condition names nothing that a record can have
 */
export function filterOf({ min_duration, ...query }: FilterQuery): FilterOptions {
  for (const condition of query.where ?? []) {
    const key = conditionKey(condition);
    // A service's own attributes are of families of their own; what is not, and isn't known, is misspelt.
    if (!isKnownKey(key) && (!key.includes('.') || FAMILIES.has(key.split('.', 1)[0]!))) {
      const expected = `an attribute of the catalogue or a member of a record${nearest(key, KNOWN_KEYS)}`;
      throw new RiskTrailError('OPTION_INVALID', { field: 'where', expected, received: JSON.stringify(key) });
    }
  }
  const names = [
    'event',
    'category',
    'since',
    'until',
    'symbol',
    'account',
    'strategy',
    'session',
    'execution',
    'correlation',
    'trace',
    'severity',
    'where',
  ] as const;
  const filter = Object.fromEntries(
    names.map((name) => [name, query[name]]).filter(([, value]) => value !== undefined),
  );
  return { ...filter, ...(min_duration === undefined ? {} : { minDuration: min_duration }) };
}

/** Adds the routes. */
export function addEventRoutes(app: FastifyInstance, context: ServerContext): void {
  addRoute(app, {
    method: 'GET',
    url: '/v1/events',
    operation: 'listEvents',
    tag: 'events',
    summary: 'The records that match, a page at a time.',
    description:
      'Pages are ordered by time, then stream and number, and each record is in one page. A page may hold fewer records than asked for where little matches: go on with next while more is true.',
    query: { ...FILTERS, ...paging(context.limits.maxPageRecords), order: ORDER },
    answer: { description: 'A page of records.', schema: ANSWERS.events },
    tagged: true,
    handle(request, reply) {
      const { limit, cursor, order, ...asked } = request.query as EventsQuery;
      const filter = filterOf(asked);
      const test = readRecordTest(filter, context.clock);
      const question = questionOf(filter);
      const from = cursor === undefined ? undefined : readCursor(cursor, order, question);
      const bounds = [String(test.since), String(test.until)];
      return answerTagged(context, request, reply, { filter, bounds, limit, cursor, order }, async () => {
        const page = await context.pages.read({ test, order, limit, from });
        const last = page.records.at(-1);
        // Forwards there is always a place to go on from, for whoever polls.
        const next = page.next ?? (order === 'asc' ? (last ?? from) : undefined);
        return {
          records: page.records.map(({ flat }) => flat),
          page: {
            limit,
            order,
            next: next === undefined ? null : writeCursor({ ...next, order, question }),
            more: page.next !== undefined,
          },
          warning: context.integrity.warning,
        };
      });
    },
  });

  addRoute(app, {
    method: 'GET',
    url: '/v1/events/:record_id',
    operation: 'getEvent',
    tag: 'events',
    summary: 'One record by its id.',
    path: { record_id: TEXT('audit.record.id', { required: true, maxLength: 100 }) },
    answer: { description: 'The record.', schema: ANSWERS.event },
    tagged: true,
    handle(request, reply) {
      const { record_id: id } = request.params as { record_id: string };
      return answerTagged(context, request, reply, id, async () => ({
        record: await context.long.run(() => findRecord(context, id)),
        warning: context.integrity.warning,
      }));
    },
  });
}

const UUID_V7 = /^([0-9a-f]{8})-([0-9a-f]{4})-7[0-9a-f]{3}-/i;
/** A record is written within this of the time that its id tells. */
const ID_SLACK_NS = 60_000_000_000n;

/** @throws RiskTrailError RECORD_NOT_FOUND */
async function findRecord(context: ServerContext, id: string) {
  const test = recordIdTest(id);
  const view = await context.pieces.view();
  const match = UUID_V7.exec(id);
  const searches: Omit<TrailView, 'version'>[] = [view];
  if (match !== null) {
    const time = BigInt(`0x${match[1]}${match[2]}`) * 1_000_000n;
    searches.unshift(
      inOrders(view.pieces.filter(({ min, max }) => min <= time + ID_SLACK_NS && max >= time - ID_SLACK_NS)),
    );
  }
  for (const some of searches) {
    const { records } = await context.pages.read(
      { test, order: 'desc', limit: 1, budgetMs: Number.POSITIVE_INFINITY },
      some,
    );
    if (records[0] !== undefined) return records[0].flat;
  }
  throw new RiskTrailError('RECORD_NOT_FOUND', { record: JSON.stringify(id) });
}
