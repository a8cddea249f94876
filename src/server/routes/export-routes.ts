/** `/v1/export`: the records that match, as a file. Nothing is written on the server but a temporary file where a format needs one. */
import { once } from 'node:events';
import { createReadStream } from 'node:fs';
import { join } from 'node:path';
import { PassThrough } from 'node:stream';
import type { FastifyInstance, FastifyReply } from 'fastify';
import { EXPORT_FORMATS, type ExportFormat } from '../../analysis/export.ts';
import type { FilterOptions } from '../../analysis/filter.ts';
import { makeTemporaryDirectory, removeTemporaryDirectory } from '../../analysis/temporary-directory.ts';
import { parseBound } from '../../analysis/time-bound.ts';
import { addRoute, goneSignal } from '../define-route.ts';
import { readRecordTest } from '../pages/record-test.ts';
import { FILTERS, TEXT } from '../schemas.ts';
import type { ServerContext } from '../server-context.ts';
import { type FilterQuery, filterOf } from './event-routes.ts';

const TYPES: Readonly<Record<string, string>> = {
  csv: 'text/csv; charset=utf-8; header=present',
  jsonl: 'application/x-ndjson; charset=utf-8',
  parquet: 'application/vnd.apache.parquet',
  xlsx: 'application/vnd.openxmlformats-officedocument.spreadsheetml.sheet',
};
const OCTETS = 'application/octet-stream';
/** A media type without its parameters. */
const bare = (type: string): string => type.split(';', 1)[0]!;
/** Formats that are written front to back. */
const TEXTS: readonly string[] = ['csv', 'jsonl'];

/** Adds the route. */
export function addExportRoutes(app: FastifyInstance, context: ServerContext): void {
  addRoute(app, {
    method: 'GET',
    url: '/v1/export/:format',
    operation: 'exportRecords',
    tag: 'events',
    summary: 'The records that match, as a file.',
    path: { format: { type: 'string', enum: EXPORT_FORMATS, required: true, description: 'Form of the file.' } },
    query: { ...FILTERS, name: TEXT('Name of the download.', { maxLength: 200 }) },
    answer: {
      description: 'The file.',
      type: EXPORT_FORMATS.map((format) => bare(TYPES[format] ?? OCTETS)),
      schema: { type: 'string', format: 'binary' },
    },
    handle(request, reply) {
      const { format } = request.params as { format: ExportFormat };
      const { name, ...asked } = request.query as FilterQuery & { name?: string };
      const filter = filterOf(asked);
      readRecordTest(filter, context.clock);
      return sendExport(context, reply, format, filter, name ?? `risktrail.${format}`);
    },
  });
}

/** A name as a header may have it: no path, no control character, no quote. */
export function downloadName(name: string): string {
  const last = name
    .split(/[/\\]/)
    .at(-1)!
    .replace(/[^\w.()@ -]/g, '_')
    .replace(/^\.+/, '')
    .trim();
  return last === '' ? 'export' : last.slice(0, 120);
}

/** Sends the records as a download. */
export async function sendExport(
  context: ServerContext,
  reply: FastifyReply,
  format: ExportFormat,
  filter: FilterOptions,
  name: string,
): Promise<FastifyReply> {
  const isText = TEXTS.includes(format);
  const source = isText ? await textOf(context, format, filter) : await fileOf(context, reply, format, filter);
  reply.raw.once('close', () => source.destroy());
  return reply
    .header('content-disposition', `attachment; filename="${downloadName(name)}"`)
    .header('cache-control', 'no-store')
    .type(TYPES[format] ?? OCTETS)
    .send(source);
}

/** The text as it is made. What is wrong shows before the first of it. */
async function textOf(context: ServerContext, format: ExportFormat, filter: FilterOptions): Promise<PassThrough> {
  const stream = new PassThrough({ highWaterMark: 1 << 18 });
  const gone = new Promise<never>((_, fail) => stream.once('close', () => fail(new Error('nobody reads any longer'))));
  gone.catch(() => {});
  // Nobody may be listening yet, or any longer.
  stream.on('error', () => {});
  let began: (() => void) | undefined;
  const begun = new Promise<void>((resolve) => {
    began = resolve;
  });
  const sink = async (text: string): Promise<void> => {
    began?.();
    if (stream.destroyed) throw new Error('nobody reads any longer');
    if (!stream.write(text)) await Promise.race([once(stream, 'drain'), gone]);
  };
  const work = context.trail.export(format, sink, filter).then(
    () => void stream.end(),
    (error: unknown) => {
      stream.destroy(error as Error);
      throw error;
    },
  );
  work.catch(() => {});
  await Promise.race([begun, work]);
  return stream;
}

/** A file that is whole before it is sent, and gone behind it. */
async function fileOf(context: ServerContext, reply: FastifyReply, format: ExportFormat, filter: FilterOptions) {
  const directory = await makeTemporaryDirectory('serve');
  const remove = () => removeTemporaryDirectory(directory);
  try {
    const path = join(directory, 'export');
    if (format === 'xlsx') await workbook(context, reply, path, filter);
    else await context.long.run(() => context.trail.export(format, path, filter));
    const stream = createReadStream(path);
    stream.once('close', () => void remove());
    return stream;
  } catch (error) {
    await remove();
    throw error;
  }
}

/** A workbook is made in memory: in that of a thread, which is given back with it. */
async function workbook(context: ServerContext, reply: FastifyReply, target: string, filter: FilterOptions) {
  const { since, until, ...rest } = filter;
  // How far back is counted from the server's clock.
  const bound = (text: string | undefined, side: 'from' | 'to', field: string) =>
    text === undefined ? {} : { [field]: parseBound(field, text, side, context.clock) };
  const asked = { ...rest, ...bound(since, 'from', 'since'), ...bound(until, 'to', 'until') };
  const question = { kind: 'workbook', paths: context.recordPaths, filter: asked, target } as const;
  await context.workbooks.ask(question, goneSignal(reply));
}
