/** `/v1/tail`: new records as they are written, as server-sent events. */
import { once } from 'node:events';
import type { FastifyInstance, FastifyRequest } from 'fastify';
import type { FlatRecord } from '../../analysis/flat-record.ts';
import { followTrail } from '../../analysis/follow.ts';
import { nanosOf } from '../../analysis/report/report.ts';
import { SeenRecords } from '../../analysis/seen-records.ts';
import { RiskTrailError } from '../../core/errors.ts';
import { addRoute } from '../define-route.ts';
import { type Place, questionOf, readCursor, writeCursor } from '../pages/place.ts';
import { readRecordTest } from '../pages/record-test.ts';
import { FILTERS } from '../schemas.ts';
import type { ServerContext } from '../server-context.ts';
import { securityHeaders } from '../server-guard.ts';
import { type FilterQuery, filterOf } from './event-routes.ts';

/** What is asked of a tail. Its ids are cursors of all records, so that they hold whatever the filters. */
const QUESTION = questionOf('tail');
const BEAT_MS = 15_000;
/** A reader that takes nothing for so long is let go. */
const SLOW_READER_MS = 30_000;
const PAGE_RECORDS = 500;

/** The tails that are open. */
export interface Tails {
  /** Ends them all. */
  end(): void;
}

/** Adds the route. */
export function addTailRoutes(app: FastifyInstance, context: ServerContext): Tails {
  const open = new Set<AbortController>();
  addRoute(app, {
    method: 'GET',
    url: '/v1/tail',
    operation: 'tail',
    tag: 'events',
    summary: 'New records as they are written: server-sent events named record.',
    description:
      'Each event has the record as JSON, and an id to go on from: give it as Last-Event-ID, as browsers do by themselves, and what was written meanwhile comes first.',
    query: {
      ...FILTERS,
      last: {
        type: 'integer',
        minimum: 0,
        maximum: context.limits.maxPageRecords,
        default: 10,
        description: 'How many that are already there come first; without Last-Event-ID.',
      },
    },
    answer: { description: 'The events.', type: 'text/event-stream' },
    async handle(request, reply) {
      const { last, ...asked } = request.query as FilterQuery & { last: number };
      const test = readRecordTest(filterOf(asked), context.clock);
      const from = resumedFrom(request);
      await context.version();
      if (open.size >= context.limits.maxTails) throw new RiskTrailError('SERVER_BUSY', { waiting: open.size });
      const stop = new AbortController();
      open.add(stop);
      const { raw } = reply;
      reply.hijack();
      for (const [name, value] of Object.entries(reply.getHeaders()))
        if (value !== undefined) raw.setHeader(name, value as string);
      raw.writeHead(200, {
        ...securityHeaders(),
        'content-type': 'text/event-stream; charset=utf-8',
        'cache-control': 'no-store',
        'x-accel-buffering': 'no',
        connection: 'close',
      });
      raw.once('close', () => stop.abort());
      const send = async (text: string): Promise<void> => {
        if (raw.destroyed || raw.writableEnded) return stop.abort();
        if (raw.write(text)) return;
        const late = AbortSignal.any([stop.signal, AbortSignal.timeout(SLOW_READER_MS)]);
        await once(raw, 'drain', { signal: late }).catch(() => {
          stop.abort();
          raw.destroy();
        });
      };
      const beat = setInterval(() => void send(': still there\n\n'), BEAT_MS);
      try {
        await send('retry: 2000\n\n');
        for await (const record of liveRecords(context, test, from, last, stop.signal)) {
          await send(eventText(record));
          if (stop.signal.aborted) break;
        }
      } catch (error) {
        request.log.error(error);
      } finally {
        clearInterval(beat);
        open.delete(stop);
        raw.end();
      }
    },
  });
  return {
    end() {
      for (const one of open) one.abort();
    },
  };
}

/** @throws RiskTrailError OPTION_INVALID */
function resumedFrom(request: FastifyRequest): Place | undefined {
  const id = request.headers['last-event-id'];
  if (typeof id !== 'string' || id === '') return undefined;
  try {
    return readCursor(id, 'asc', QUESTION);
  } catch (error) {
    const expected = 'the id of an event of /v1/tail';
    throw new RiskTrailError(
      'OPTION_INVALID',
      { field: 'Last-Event-ID', expected, received: JSON.stringify(id.slice(0, 40)) },
      error,
    );
  }
}

type Test = ReturnType<typeof readRecordTest>;

/** What was there, then what comes. Following begins first, so that nothing falls between the two. */
async function* liveRecords(
  context: ServerContext,
  test: Test,
  from: Place | undefined,
  last: number,
  signal: AbortSignal,
): AsyncGenerator<FlatRecord> {
  const seen = new SeenRecords();
  const isNew = ({ stream, sequence }: FlatRecord) =>
    stream === null || sequence === null || seen.add(stream, sequence);
  const live = followTrail(context.recordPaths, { last: 1, signal });
  try {
    // The newest record shows that the follower stands at the end of the files.
    const first = await live.next();
    await context.pieces.view(true);
    for await (const record of from === undefined
      ? lastRecords(context, test, last)
      : recordsBehind(context, test, from, signal)) {
      if (isNew(record)) yield record;
    }
    if (first.done === true) return;
    for await (const batch of live) for (const record of batch) if (test.filter(record) && isNew(record)) yield record;
  } finally {
    await live.return();
  }
}

async function* lastRecords(context: ServerContext, test: Test, last: number): AsyncGenerator<FlatRecord> {
  if (last === 0) return;
  const { records } = await context.pages.read({ test, order: 'desc', limit: last });
  for (const { flat } of records.toReversed()) yield flat;
}

async function* recordsBehind(
  context: ServerContext,
  test: Test,
  from: Place,
  signal: AbortSignal,
): AsyncGenerator<FlatRecord> {
  let next: Place | undefined = from;
  while (next !== undefined && !signal.aborted) {
    const page = await context.pages.read({ test, order: 'asc', limit: PAGE_RECORDS, from: next });
    for (const { flat } of page.records) yield flat;
    next = page.next;
  }
}

function eventText(record: FlatRecord): string {
  const { stream, sequence } = record;
  const tie = stream !== null && sequence !== null ? `${stream}#${String(sequence).padStart(16, '0')}` : '~';
  const id = writeCursor({ time: BigInt(nanosOf(record.timestamp)), tie, order: 'asc', question: QUESTION });
  return `id: ${id}\nevent: record\ndata: ${JSON.stringify(record)}\n\n`;
}
