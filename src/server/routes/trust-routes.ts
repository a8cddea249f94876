/** `/v1/verify`, `/v1/prove`, `/v1/status` and `/v1/catalogue`: whether the trail can be trusted, and what stands in it. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { FastifyInstance } from 'fastify';
import { namePattern } from '../../analysis/filter.ts';
import { readTrailStatus } from '../../analysis/trail-status.ts';
import type { VerifierKey } from '../../audit/proof/note.ts';
import { proveRecord } from '../../audit/proof/prove.ts';
import { findTrailFiles } from '../../audit/read/files.ts';
import { keysBeside } from '../../audit/verify/keys.ts';
import { EVENTS } from '../../catalog/events.ts';
import { isRiskTrailError } from '../../core/errors.ts';
import { nearest } from '../../core/options.ts';
import { addRoute, answerTagged } from '../define-route.ts';
import { ProblemError } from '../problem.ts';
import { ANSWERS, TEXT } from '../schemas.ts';
import type { ServerContext } from '../server-context.ts';

/** The package's folder of schemas: as far up from the source as from what is compiled of it. */
const SCHEMAS = new URL('../../../schema/', import.meta.url);

/** How the streams stand, without this machine's paths; undefined where no data directory is served. */
export function statusOf(context: ServerContext) {
  const [directory] = context.paths;
  try {
    const { streams, diskFreeBytes, concerns } = readTrailStatus(directory!, context.clock.now());
    return {
      streams: streams.map((one) => ({ ...one, directory: one.directory.slice(directory!.length + 1) })),
      diskFreeBytes,
      concerns: concerns.map((concern) => concern.replaceAll(join(directory!, '/'), '')),
    };
  } catch (error) {
    if (isRiskTrailError(error, 'PATH_NOT_FOUND') || isRiskTrailError(error, 'NO_TRAIL_FILES')) return undefined;
    throw error;
  }
}

/** Without a key beside the trail, signatures are left to whoever checks the proof. */
function withoutKeys(error: unknown): VerifierKey[] {
  if (isRiskTrailError(error, 'VERIFIER_KEY_MISSING')) return [];
  throw error;
}

/** Adds the routes. */
export function addTrustRoutes(app: FastifyInstance, context: ServerContext): void {
  addRoute(app, {
    method: 'GET',
    url: '/v1/status',
    operation: 'getStatus',
    tag: 'trust',
    summary: 'How the trail stands: what is signed, shipped, waiting or refused.',
    answer: { description: 'The status.', schema: ANSWERS.status },
    handle() {
      const status = statusOf(context);
      if (status === undefined) {
        const remedy = 'Serve the data directory of a service.';
        throw new ProblemError(404, 'NO_DATA_DIRECTORY', 'what is served is no data directory', { remedy });
      }
      return { ...status, integrity: context.integrity.known };
    },
  });

  addRoute(app, {
    method: 'GET',
    url: '/v1/verify',
    operation: 'verify',
    tag: 'trust',
    summary: 'Is the trail whole, unchanged and signed?',
    description:
      'The whole trail is read, unless it was and nothing has changed since. The keys are those beside the trail: risktrail verify takes others.',
    answer: { description: 'The report.', schema: ANSWERS.verify },
    async handle() {
      const { streams, ...rest } = await context.long.run(() => context.integrity.verify());
      const hidden = streams.map(({ findings, ...stream }) => ({
        ...stream,
        findings: findings.map((one) => ({
          ...one,
          file: one.file === null ? null : context.hide(one.file).replace(/^the data directory\//, ''),
          detail: context.hide(one.detail),
        })),
      }));
      return { ...rest, streams: hidden };
    },
  });

  addRoute(app, {
    method: 'GET',
    url: '/v1/prove/:record',
    operation: 'proveRecord',
    tag: 'trust',
    summary: 'The proof that a record is in the trail, for somebody who does not have the trail.',
    path: { record: TEXT('audit.record.id, or the sequence number.', { required: true, maxLength: 100 }) },
    query: {
      stream: TEXT('audit.stream or its UUID, where a number may be of several.'),
      size: { type: 'integer', minimum: 1, description: 'Size of the checkpoint to lead to; the newest unless given.' },
    },
    answer: { description: 'Both files of the proof.', schema: ANSWERS.proof },
    tagged: true,
    handle(request, reply) {
      const { record } = request.params as { record: string };
      const { stream, size } = request.query as { stream?: string; size?: number };
      return answerTagged(context, request, reply, { record, stream, size }, async () => {
        const made = await context.long.run(async () => {
          const { keys } = await findTrailFiles(context.recordPaths);
          return proveRecord({
            paths: context.recordPaths,
            record: /^\d{1,15}$/.test(record) ? Number(record) : record,
            stream,
            size,
            keys: await keysBeside(context.recordPaths, keys).catch(withoutKeys),
          });
        });
        return {
          stream: made.stream,
          sequence: made.sequence,
          record_id: made.recordId ?? null,
          size: made.size,
          proof: made.proof,
          record: made.canonical.toString('utf8'),
        };
      });
    },
  });

  addRoute(app, {
    method: 'GET',
    url: '/v1/catalogue',
    operation: 'listCatalogue',
    tag: 'trust',
    summary: 'The events of the catalogue.',
    query: { event: TEXT('Name, * for any text.') },
    answer: { description: 'The events.', schema: ANSWERS.catalogue },
    handle(request) {
      const { event } = request.query as { event?: string };
      const matches = event === undefined ? () => true : namePattern(event);
      const events = Object.entries(EVENTS)
        .filter(([name]) => matches(name))
        .map(([name, { brief, severity, category, class: kind }]) => ({
          event: name,
          class: kind,
          severity,
          category,
          brief,
        }));
      return { events };
    },
  });

  addRoute(app, {
    method: 'GET',
    url: '/v1/catalogue/:event',
    operation: 'getEventSchema',
    tag: 'trust',
    summary: 'The JSON Schema of an event; "event" is that of every record.',
    path: { event: TEXT('Name of the event.', { required: true, maxLength: 100 }) },
    answer: { description: 'The schema.', schema: ANSWERS.schema },
    async handle(request, reply) {
      const { event } = request.params as { event: string };
      if (event !== 'event' && !Object.hasOwn(EVENTS, event)) {
        const detail = `the catalogue has no event ${JSON.stringify(event)}${nearest(event, Object.keys(EVENTS))}`;
        throw new ProblemError(404, 'EVENT_UNKNOWN', detail, { remedy: '/v1/catalogue lists the events.' });
      }
      const path = event === 'event' ? 'event.json' : `events/${event}.json`;
      return reply.type('application/json; charset=utf-8').send(await readFile(new URL(path, SCHEMAS), 'utf8'));
    },
  });
}
