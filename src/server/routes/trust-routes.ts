/** `/v1/verify`, `/v1/prove`, `/v1/consistency`, `/v1/status` and `/v1/catalogue`: whether the trail can be trusted, and what stands in it. */
import { readFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import type { FastifyInstance } from 'fastify';
import { namePattern } from '../../analysis/filter.ts';
import { readTrailStatus } from '../../analysis/trail-status.ts';
import { describeKeys } from '../../audit/journal/rotate-keys.ts';
import { trustHandovers } from '../../audit/proof/handover.ts';
import { parseVerifierKey, type VerifierKey } from '../../audit/proof/note.ts';
import { type CheckpointChoice, proveConsistency, proveRecord } from '../../audit/proof/prove.ts';
import { handoversBeside } from '../../audit/proof/read-handovers.ts';
import { findTrailFiles } from '../../audit/read/files.ts';
import { keysBeside } from '../../audit/verify/keys.ts';
import { EVENTS } from '../../catalog/events.ts';
import { isRiskTrailError, RiskTrailError } from '../../core/errors.ts';
import { nearest } from '../../core/options.ts';
import { entityTag } from '../answers.ts';
import { addRoute, answerTagged, goneSignal, type JsonSchema } from '../define-route.ts';
import type { IntegrityReport } from '../integrity-keeper.ts';
import { ProblemError } from '../problem.ts';
import { ANSWERS, FLAG, TEXT, VERIFIER_KEYS } from '../schemas.ts';
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

interface VerifyQuery {
  readonly vkey?: readonly string[];
  readonly strict: boolean;
  readonly semantic: boolean;
}

interface ProveQuery {
  readonly stream?: string;
  readonly size?: number;
  readonly vkey?: readonly string[];
}

interface ConsistencyQuery {
  readonly old: string;
  readonly new: string;
  readonly stream?: string;
  readonly vkey?: readonly string[];
}

/** A checkpoint, as a request names it. */
const CHECKPOINT: JsonSchema = TEXT('A checkpoint: its size, newest, or the text of one that was kept elsewhere.', {
  maxLength: 1000,
});

const checkpointOf = (text: string): CheckpointChoice =>
  text === 'newest' ? text : /^\d{1,15}$/.test(text) ? Number(text) : { note: text };

/** Without a key beside the trail, signatures are left to whoever checks the proof. */
function withoutKeys(error: unknown): VerifierKey[] {
  if (isRiskTrailError(error, 'VERIFIER_KEY_MISSING')) return [];
  throw error;
}

/** @throws RiskTrailError OPTION_INVALID */
function readKeys(given: readonly string[]): VerifierKey[] {
  return given.map((text) => {
    const key = parseVerifierKey(text);
    if (key !== undefined) return key;
    const expected = 'a verifier key, name+hash+key as verifier.vkey has it';
    throw new RiskTrailError('OPTION_INVALID', {
      field: 'vkey',
      expected,
      received: JSON.stringify(text.slice(0, 100)),
    });
  });
}

/** The keys given, with those that they hand over to, or those beside the trail. */
async function keysOf({ recordPaths }: ServerContext, given: readonly string[]): Promise<VerifierKey[]> {
  const { keys } = await findTrailFiles(recordPaths);
  if (given.length === 0) return keysBeside(recordPaths, keys).catch(withoutKeys);
  return trustHandovers(readKeys(given), await handoversBeside(recordPaths, keys));
}

/** The report on the trail: the keeper's, which is made once for all who ask, unless something else is asked for. */
async function verified(
  context: ServerContext,
  { vkey = [], strict, semantic }: VerifyQuery,
  gone: AbortSignal,
): Promise<IntegrityReport & { readonly semantic?: unknown }> {
  readKeys(vkey);
  if (vkey.length === 0 && !strict && !semantic) return context.long.run(() => context.integrity.verify());
  const asked = { kind: 'verify', paths: context.recordPaths, keys: vkey, strict, semantic } as const;
  const tag = entityTag(await context.version(), asked);
  return JSON.parse(await context.answers.get(tag, (stop) => context.threads.ask(asked, stop), gone));
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
      'The whole trail is read, unless it was and nothing has changed since. The keys are those beside the trail, unless vkey gives others.',
    query: {
      vkey: VERIFIER_KEYS,
      strict: FLAG('Whether an unsigned tail, an open stream and a torn last line are findings, too.'),
      semantic: FLAG('Whether each snapshot of the risk state is compared with what the events before it come to.'),
    },
    answer: { description: 'The report.', schema: ANSWERS.verify },
    async handle(request, reply) {
      const { streams, ...rest } = await verified(context, request.query as VerifyQuery, goneSignal(reply));
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
      vkey: VERIFIER_KEYS,
    },
    answer: { description: 'Both files of the proof.', schema: ANSWERS.proof },
    tagged: true,
    handle(request, reply) {
      const { record } = request.params as { record: string };
      const { stream, size, vkey = [] } = request.query as ProveQuery;
      readKeys(vkey);
      return answerTagged(context, request, reply, { record, stream, size, vkey }, async () => {
        const made = await context.long.run(async () =>
          proveRecord({
            paths: context.recordPaths,
            record: /^\d{1,15}$/.test(record) ? Number(record) : record,
            stream,
            size,
            keys: await keysOf(context, vkey),
          }),
        );
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
    url: '/v1/consistency',
    operation: 'proveConsistency',
    tag: 'trust',
    summary:
      'The proof that a newer checkpoint goes on from an older one: nothing below the older was changed or removed.',
    query: {
      old: { ...CHECKPOINT, required: true },
      new: { ...CHECKPOINT, default: 'newest' },
      stream: TEXT('audit.stream or its UUID, where a size may be of several.'),
      vkey: VERIFIER_KEYS,
    },
    answer: { description: 'The proof.', schema: ANSWERS.consistency },
    tagged: true,
    handle(request, reply) {
      const { old, new: next, stream, vkey = [] } = request.query as ConsistencyQuery;
      readKeys(vkey);
      return answerTagged(context, request, reply, { old, next, stream, vkey }, async () => {
        const made = await context.long.run(async () =>
          proveConsistency({
            paths: context.recordPaths,
            older: checkpointOf(old),
            newer: checkpointOf(next),
            stream,
            keys: await keysOf(context, vkey),
          }),
        );
        return { stream: made.stream, old_size: made.oldSize, new_size: made.newSize, proof: made.proof };
      });
    },
  });

  addRoute(app, {
    method: 'GET',
    url: '/v1/keys',
    operation: 'listKeys',
    tag: 'trust',
    summary: 'The verifier keys of the data directory, newest first, and how they follow one another.',
    description:
      'They are public. A key that comes from the same place as the trail shows that it is consistent with itself, not who signed it.',
    answer: { description: 'The keys.', schema: ANSWERS.keys },
    async handle() {
      const { keys, handovers } = await describeKeys(context.dataDir);
      return {
        keys: keys.map(({ vkey, signs }) => ({ vkey, signs })),
        handovers: handovers.map(({ path, time, oldVkey, newVkey }) => ({
          file: basename(path),
          time: time ?? null,
          old_vkey: oldVkey ?? null,
          new_vkey: newVkey ?? null,
        })),
      };
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
