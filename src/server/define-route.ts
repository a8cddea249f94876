/** How routes are defined: their schemas, who may use them, and how their answers go out. */
import type { FastifyInstance, FastifyReply, FastifyRequest, HTTPMethods } from 'fastify';
import type { Scope } from './access/tokens.ts';
import { entityTag, namesTag } from './answers.ts';
import type { ServerContext } from './server-context.ts';

/** A JSON Schema, as it stands in the OpenAPI document. */
export type JsonSchema = { readonly [keyword: string]: unknown };

/** What a route may be asked by: name → schema. */
export type Parameters = { readonly [name: string]: JsonSchema };

/** A route. */
export interface RouteDefinition {
  readonly method: 'GET' | 'POST';
  readonly url: string;
  /** Name of the operation: the client's method. */
  readonly operation: string;
  readonly tag: string;
  readonly summary: string;
  readonly description?: string;
  readonly path?: Parameters;
  readonly query?: Parameters;
  readonly body?: JsonSchema;
  /** What a success says. */
  readonly answer: {
    readonly description: string;
    readonly type?: string | readonly string[];
    readonly schema?: JsonSchema;
  };
  /** Whether an answer has an entity tag. */
  readonly tagged?: boolean;
  /** @default 'read' */
  readonly scope?: Scope | 'none';
  handle(request: FastifyRequest, reply: FastifyReply): unknown;
}

export const JSON_TYPE = 'application/json';
const PROBLEM = {
  description: 'A problem (RFC 9457).',
  content: { 'application/problem+json': { schema: { $ref: 'Problem#' } } },
};

const object = (properties: Parameters | undefined) =>
  properties === undefined
    ? { type: 'object', additionalProperties: false, properties: {} }
    : {
        type: 'object',
        additionalProperties: false,
        properties: Object.fromEntries(
          Object.entries(properties).map(([name, { required, ...schema }]) => [name, schema]),
        ),
        required: Object.entries(properties)
          .filter(([, schema]) => schema['required'] === true)
          .map(([name]) => name),
      };

/** Adds a route to a server. */
export function addRoute(app: FastifyInstance, route: RouteDefinition): void {
  const { answer, scope = 'read' } = route;
  const types = [answer.type ?? JSON_TYPE].flat() as readonly string[];
  app.route({
    method: route.method as HTTPMethods,
    url: route.url,
    // A stream of events has no end to tell the length of.
    exposeHeadRoute: !types.includes('text/event-stream'),
    config: { scope } as object,
    schema: {
      operationId: route.operation,
      tags: [route.tag],
      summary: route.summary,
      ...(route.description === undefined ? {} : { description: route.description }),
      querystring: object(route.query),
      ...(route.path === undefined ? {} : { params: object(route.path) }),
      ...(route.body === undefined ? {} : { body: route.body }),
      ...(scope === 'none' ? { security: [] } : {}),
      response: {
        200: {
          description: answer.description,
          content: Object.fromEntries(types.map((type) => [type, { schema: answer.schema ?? { type: 'string' } }])),
        },
        ...(route.tagged === true
          ? { 304: { description: 'Nothing changed since the answer that If-None-Match names.' } }
          : {}),
        default: PROBLEM,
      },
    } as object,
    handler: route.handle,
  });
}

/** Says when who asks has gone without waiting for the answer. */
export function goneSignal({ raw }: FastifyReply): AbortSignal {
  const gone = new AbortController();
  raw.once('close', () => {
    if (!raw.writableFinished) gone.abort();
  });
  return gone.signal;
}

/**
 * Answers a question about the trail as it stands: 304 where the caller has the answer, else the one that is kept or made.
 * @param question all that the answer depends on, besides the trail
 * @param make makes it, as JSON or text; told by its signal when nobody waits any longer, where `gone` is given
 * @param gone see {@link goneSignal}
 */
export async function answerTagged(
  context: ServerContext,
  request: FastifyRequest,
  reply: FastifyReply,
  question: unknown,
  make: (stop: AbortSignal) => Promise<unknown>,
  type = JSON_TYPE,
  gone?: AbortSignal,
): Promise<FastifyReply> {
  const { status, detail } = context.integrity.known;
  const tag = entityTag(await context.version(), status, detail, request.routeOptions.url, question);
  reply.header('etag', tag).header('cache-control', 'private, no-cache');
  if (namesTag(request.headers['if-none-match'], tag)) return reply.code(304).send();
  const answer = async (stop: AbortSignal) => {
    const made = await make(stop);
    return typeof made === 'string' ? made : JSON.stringify(made);
  };
  const text = await context.answers.get(tag, answer, gone);
  return reply.type(`${type}; charset=utf-8`).send(text);
}
