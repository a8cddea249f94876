/** The server as a whole: routes, guards, problem details and the OpenAPI document, not listening yet. */
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import type { AlertRule } from '../alerting/rule.ts';
import { nearest } from '../core/options.ts';
import { VERSION } from '../version.ts';
import { addExactBodies } from './exact-body.ts';
import { loadServerModules } from './modules.ts';
import { PROBLEM_TYPE, ProblemError, problemOf } from './problem.ts';
import { type AlertActs, addAlertRoutes } from './routes/alert-routes.ts';
import { addAlertRuleRoutes } from './routes/alert-rule-routes.ts';
import { addAuditRoutes } from './routes/audit-routes.ts';
import { addEventRoutes } from './routes/event-routes.ts';
import { addExportRoutes } from './routes/export-routes.ts';
import { addOperationRoutes } from './routes/operation-routes.ts';
import { addPageRoutes } from './routes/page-routes.ts';
import { addReplayRoutes } from './routes/replay-routes.ts';
import { addReportRoutes } from './routes/report-routes.ts';
import { addStateRoutes } from './routes/state-routes.ts';
import { addTailRoutes, type Tails } from './routes/tail-routes.ts';
import { addTrustRoutes } from './routes/trust-routes.ts';
import { COMPONENTS } from './schemas.ts';
import type { ServerContext } from './server-context.ts';
import { addGuard, type GuardOptions, securityHeaders } from './server-guard.ts';

/** An OpenAPI document. */
export type OpenApiDocument = { readonly [member: string]: unknown };

/** A server that is ready to listen. */
export interface ServerApp {
  readonly fastify: FastifyInstance;
  /** The OpenAPI 3.1 document of its routes. */
  document(): OpenApiDocument;
  readonly tails: Tails;
}

/** What the app is made with. */
export interface AppOptions extends GuardOptions {
  /** How what is done about alerts is recorded. */
  readonly acts: AlertActs;
  /** The rules of alerts. */
  readonly rules: readonly AlertRule[];
  /** Told of what goes wrong inside, with its stack. */
  onDefect(error: Error): void;
}

const TAGS = [
  { name: 'events', description: 'Records: pages, one, live, as a file.' },
  { name: 'reports', description: 'What they come to.' },
  { name: 'state', description: 'The state of the risk layers at any moment.' },
  { name: 'alerts', description: 'Alerts.' },
  { name: 'trust', description: 'Whether the trail is whole.' },
  { name: 'audit', description: 'Endpoints by the names that dashboards of older trading systems call.' },
  { name: 'operations', description: 'For those who watch the server.' },
];
/** A request must have arrived by then, in milliseconds. */
const ARRIVAL_MS = 15_000;

/**
 * Makes the app.
 * @throws RiskTrailError SERVER_PACKAGES_MISSING
 */
export async function createApp(context: ServerContext, options: AppOptions): Promise<ServerApp> {
  const { fastify, swagger, swaggerUi, rateLimit } = await loadServerModules();
  const { limits } = context;
  const app = fastify({
    bodyLimit: limits.bodyBytes,
    requestTimeout: ARRIVAL_MS,
    routerOptions: { maxParamLength: 500, ignoreTrailingSlash: true },
    // What is misspelt must be told, not passed over.
    ajv: {
      customOptions: {
        removeAdditional: false,
        coerceTypes: 'array',
        useDefaults: true,
        allErrors: false,
        strict: false,
      },
    },
    // Node answers a request that it can't read: as a problem, too.
    clientErrorHandler: answerUnreadable,
    frameworkErrors: answerUnroutable,
  }) as unknown as FastifyInstance;
  app.setSerializerCompiler(() => (data) => JSON.stringify(data));
  // A form or a plain text is what a foreign page can send without asking.
  app.removeContentTypeParser('text/plain');
  const methods = watchMethods(app);
  setProblems(app, context, options, methods);
  if (limits.requestsPerMinute > 0) {
    await app.register(rateLimit, {
      global: false,
      max: limits.requestsPerMinute,
      timeWindow: 60_000,
      errorResponseBuilder: (_request, { after }) =>
        new ProblemError(
          429,
          'TOO_MANY_REQUESTS',
          `more than ${limits.requestsPerMinute} requests a minute: go on in ${after}`,
        ),
    });
    // In front of the guard: whoever tries tokens is counted, too.
    app.addHook('onRequest', app.rateLimit());
  }
  addGuard(app, context, options);
  // Before the body is looked at: what isn't there needs none.
  app.addHook('onRequest', async (request) => {
    if (request.is404) throw unknownRoute(request, methods);
  });
  addExactBodies(app);
  for (const schema of COMPONENTS) app.addSchema(schema);
  await app.register(swagger, {
    openapi: {
      openapi: '3.1.0',
      info: {
        title: 'risktrail',
        version: VERSION,
        description: 'The flight recorder for trading risk, over HTTP. Errors are problem details (RFC 9457).',
        license: { name: 'Apache-2.0', identifier: 'Apache-2.0' },
      },
      servers: [{ url: '/' }],
      tags: TAGS,
      components: {
        securitySchemes: {
          bearer: { type: 'http', scheme: 'bearer', description: 'Needed where the server has a token file.' },
        },
      },
      security: [{ bearer: [] }, {}],
    },
    refResolver: { buildLocalReference: (json, _base, _fragment, index) => String(json['$id'] ?? `def-${index}`) },
  });
  await app.register(swaggerUi, {
    routePrefix: '/docs',
    staticCSP: true,
    uiConfig: {
      validatorUrl: null as unknown as string,
      deepLinking: true,
      docExpansion: 'list',
      tryItOutEnabled: true,
    },
    theme: { title: 'risktrail: REST API' },
  });
  const tails = addRoutes(app, context, options);
  app.get('/openapi.json', { schema: { hide: true } as object, config: { scope: 'read' } as object }, () =>
    app.swagger(),
  );
  await app.ready();
  return { fastify: app, document: () => app.swagger() as unknown as OpenApiDocument, tails };
}

function addRoutes(app: FastifyInstance, context: ServerContext, { acts, rules }: AppOptions): Tails {
  addEventRoutes(app, context);
  addExportRoutes(app, context);
  addReportRoutes(app, context);
  addStateRoutes(app, context);
  addReplayRoutes(app, context);
  addAlertRoutes(app, context, acts);
  addAlertRuleRoutes(app, context, rules);
  addTrustRoutes(app, context);
  addAuditRoutes(app, context);
  addOperationRoutes(app, context, acts.signingKeyFile);
  addPageRoutes(app, context);
  return addTailRoutes(app, context);
}

/** Which methods each address has. */
type MethodsOf = (url: string) => readonly string[];

function watchMethods(app: FastifyInstance): MethodsOf {
  const known = new Map<string, { readonly pattern: RegExp; readonly methods: Set<string> }>();
  app.addHook('onRoute', ({ url, method }) => {
    const source = url
      .split('/')
      .map((part) =>
        part.startsWith(':') ? '[^/]+' : part === '*' ? '.*' : part.replace(/[.*+?^${}()|[\]\\]/g, '\\$&'),
      )
      .join('/');
    const entry = known.get(url) ?? { pattern: new RegExp(`^${source}/?$`), methods: new Set<string>() };
    for (const one of [method].flat()) entry.methods.add(one);
    known.set(url, entry);
  });
  return (url) => {
    const path = url.split('?', 1)[0]!;
    return [
      ...new Set(
        [...known.values()].filter(({ pattern }) => pattern.test(path)).flatMap(({ methods }) => [...methods]),
      ),
    ];
  };
}

interface ValidationIssue {
  readonly keyword: string;
  readonly instancePath: string;
  readonly message?: string;
  readonly params: Readonly<Record<string, unknown>>;
}

function setProblems(
  app: FastifyInstance,
  context: ServerContext,
  { onDefect }: AppOptions,
  methodsOf: MethodsOf,
): void {
  app.setErrorHandler(
    async (error: Error & { validation?: readonly ValidationIssue[]; validationContext?: string }, request, reply) => {
      const told =
        error.validation === undefined
          ? error
          : fromValidation(error.validation[0]!, error.validationContext ?? 'request', request);
      const problem = problemOf(told, (text) => context.hide(text));
      if (told instanceof ProblemError) reply.headers(told.headers);
      if (problem.status === 500) onDefect(error);
      if (problem.code === 'SERVER_BUSY') reply.header('retry-after', '2');
      return reply
        .code(problem.status)
        .header('cache-control', 'no-store')
        .removeHeader('etag')
        .type(PROBLEM_TYPE)
        .send(JSON.stringify(problem));
    },
  );
  app.setNotFoundHandler(async (request) => {
    throw unknownRoute(request, methodsOf);
  });
}

function unknownRoute(request: FastifyRequest, methodsOf: MethodsOf): ProblemError {
  const methods = methodsOf(request.url);
  const path = JSON.stringify(request.url.split('?', 1)[0]!.slice(0, 200));
  if (methods.length === 0 || methods.includes(request.method)) {
    return new ProblemError(404, 'ROUTE_UNKNOWN', `there is nothing at ${path}`, {
      remedy: '/openapi.json lists what there is.',
    });
  }
  const headers = { allow: [...methods].sort().join(', ') };
  return new ProblemError(405, 'METHOD_NOT_ALLOWED', `${request.method} is not allowed at ${path}`, { headers });
}

/** What the schema found, as a problem that names the parameter, what was expected and what came. */
function fromValidation(
  { keyword, instancePath, message = 'is wrong', params }: ValidationIssue,
  where: string,
  request: FastifyRequest,
): ProblemError {
  const place = instancePath
    .split('/')
    .filter((part) => part !== '')
    .join('.');
  const remedy = 'Correct the named parameter.';
  if (keyword === 'additionalProperties') {
    const name = String(params['additionalProperty']);
    const schema = (
      request.routeOptions.schema as Readonly<Record<string, { properties?: object } | undefined>> | undefined
    )?.[where === 'body' ? 'body' : 'querystring'];
    const known = Object.keys(schema?.properties ?? {});
    const expected = known.length === 0 ? '; there are none' : nearest(name, known) || ` (known: ${known.join(', ')})`;
    return new ProblemError(400, 'OPTION_UNKNOWN', `${name.slice(0, 100)}: unknown parameter${expected}`, { remedy });
  }
  if (keyword === 'required') {
    return new ProblemError(
      400,
      'OPTION_INVALID',
      `${String(params['missingProperty'])}: expected a value, got nothing`,
      { remedy },
    );
  }
  const values = Array.isArray(params['allowedValues']) ? `: ${params['allowedValues'].join(', ')}` : '';
  const name = place === '' ? (where === 'body' ? 'the body' : where) : place;
  return new ProblemError(400, 'OPTION_INVALID', `${name}: ${message}${values}`, { remedy });
}

/** An address that can't be decoded reaches no route, and none of the hooks. */
function answerUnroutable(error: Error, _request: unknown, reply: unknown): void {
  const problem = problemOf(error, (text) => text);
  const answer = reply as FastifyReply;
  void answer.code(problem.status).headers(securityHeaders()).type(PROBLEM_TYPE).send(JSON.stringify(problem));
}

interface UnreadableSocket {
  readonly writable: boolean;
  readonly destroyed: boolean;
  end(text: string): void;
  destroy(): void;
}

function answerUnreadable(error: Error & { code?: string }, socket: UnreadableSocket): void {
  if (error.code === 'ECONNRESET' || socket.destroyed || !socket.writable) {
    socket.destroy();
    return;
  }
  const [status, line] =
    error.code === 'HPE_HEADER_OVERFLOW'
      ? [431, '431 Request Header Fields Too Large']
      : error.code === 'ERR_HTTP_REQUEST_TIMEOUT'
        ? [408, '408 Request Timeout']
        : [400, '400 Bad Request'];
  const detail =
    status === 431
      ? 'the headers are too large'
      : status === 408
        ? 'the request took too long to arrive'
        : 'this is no HTTP request';
  const body = JSON.stringify(new ProblemError(status as number, 'REQUEST_UNREADABLE', detail).problem);
  socket.end(
    `HTTP/1.1 ${line}\r\nContent-Type: ${PROBLEM_TYPE}\r\nContent-Length: ${Buffer.byteLength(body)}\r\nX-Content-Type-Options: nosniff\r\nConnection: close\r\n\r\n${body}`,
  );
}
