/**
 * HTTP without loading it: Node's own diagnostics channels tell of requests.
 * Inbound, `traceparent`, else `x-correlation-id`, else `x-request-id` become the correlation of all that the request does.
 * Outbound, `traceparent` goes to the hosts that the settings list, and to no other: never to an exchange by itself.
 * https://nodejs.org/api/diagnostics_channel.html#built-in-channels
 */
import { subscribe } from 'node:diagnostics_channel';
import { context, isSpanContextValid, propagation, ROOT_CONTEXT, trace } from '@opentelemetry/api';
import { findHost, guarded, type InstrumentationHost, machineClock, record } from './host.ts';

interface Inbound {
  readonly method?: string;
  readonly url?: string;
  /** Express: path of the route that answers. */
  readonly route?: { readonly path?: unknown };
  readonly baseUrl?: unknown;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
}
interface Answer {
  readonly statusCode?: number;
  once(event: string, listener: () => void): unknown;
}
interface Server {
  emit(event: string, ...args: unknown[]): boolean;
}

const PATCHED = Symbol.for('risktrail.http.patched');
const MAX_ID = 256;

/** Begins to watch requests in this thread. */
export function watchHttp(): void {
  const holder = globalThis as { [PATCHED]?: true };
  if (holder[PATCHED]) return;
  Object.defineProperty(holder, PATCHED, { value: true });
  // Told just before the server tells the program: from its first request on, its `emit` runs in the request's context.
  subscribe('http.server.request.start', (message) => {
    guarded(findHost(), 'http server', () => wrapServer((message as { server: Server }).server));
  });
  subscribe('fastify.initialization', (message) => {
    guarded(findHost(), 'fastify', () => noteRoutes((message as { fastify: Fastify }).fastify));
  });
  subscribe('http.client.request.created', (message) => {
    const { request } = message as { request: { host?: string; setHeader(name: string, value: string): unknown } };
    outbound(request.host, (value) => request.setHeader('traceparent', value));
  });
  subscribe('undici:request:create', (message) => {
    const { request } = message as {
      request: { origin?: string | URL; addHeader(name: string, value: string): unknown };
    };
    const host = request.origin === undefined ? undefined : new URL(String(request.origin)).hostname;
    outbound(host, (value) => request.addHeader('traceparent', value));
  });
}

interface FastifyRequest {
  readonly raw: object;
  readonly routeOptions?: { readonly url?: string | undefined };
}
interface Fastify {
  addHook(name: 'onRequest', hook: (request: FastifyRequest, reply: unknown, done: () => void) => void): unknown;
}

/** Fastify's routes of requests under way. */
const fastifyRoutes = new WeakMap<object, string>();

/** Before any hook of the program's own, which may answer by itself. */
function noteRoutes(fastify: Fastify): void {
  fastify.addHook('onRequest', ({ raw, routeOptions }, _reply, done) => {
    if (typeof routeOptions?.url === 'string') fastifyRoutes.set(raw, routeOptions.url);
    done();
  });
}

const wrappedServers = new WeakSet<object>();

function wrapServer(server: Server): void {
  if (wrappedServers.has(server)) return;
  wrappedServers.add(server);
  const { emit } = server;
  const wrapper = function (this: Server, event: string, ...args: unknown[]): boolean {
    const host = event === 'request' ? findHost() : undefined;
    if (host === undefined) return emit.call(this, event, ...args);
    return inbound(host, args[0] as Inbound, args[1] as Answer, () => emit.call(this, event, ...args));
  };
  Object.defineProperty(server, 'emit', { value: wrapper, writable: true, configurable: true, enumerable: false });
}

const header = ({ headers }: Inbound, name: string): string | undefined => {
  const value = headers[name];
  const first = Array.isArray(value) ? value[0] : value;
  return first !== undefined && first !== '' && first.length <= MAX_ID && /^[\x21-\x7e]+$/.test(first)
    ? first
    : undefined;
};

const TRACEPARENT = /^[0-9a-f]{2}-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})/;

function inbound(host: InstrumentationHost, request: Inbound, answer: Answer, run: () => boolean): boolean {
  let active = ROOT_CONTEXT;
  let correlationId: string | undefined;
  guarded(host, 'http server', () => {
    correlationId = header(request, 'x-correlation-id') ?? header(request, 'x-request-id');
    active = propagation.extract(ROOT_CONTEXT, request.headers);
    const parent = TRACEPARENT.exec(header(request, 'traceparent') ?? '');
    if (trace.getSpanContext(active) === undefined && parent !== null) {
      const spanContext = {
        traceId: parent[1]!,
        spanId: parent[2]!,
        traceFlags: Number.parseInt(parent[3]!, 16),
        isRemote: true,
      };
      if (isSpanContextValid(spanContext)) active = trace.setSpanContext(active, spanContext);
    }
  });
  const begunMs = machineClock.monotonic();
  // Express cuts off where a router is mounted while that is at work.
  const path = (request.url ?? '').split('?', 1)[0]!;
  return context.with(active, () =>
    host.withContext(correlationId === undefined ? {} : { correlationId }, () => {
      const within = context.active();
      guarded(host, 'http server', () => {
        answer.once('close', () => {
          context.with(within, () =>
            guarded(host, 'http server', () => answered(host, request, path, answer, begunMs)),
          );
        });
      });
      return run();
    }),
  );
}

function answered(host: InstrumentationHost, request: Inbound, path: string, answer: Answer, begunMs: number): void {
  const endpoint = fastifyRoutes.get(request) ?? expressRoute(request, path) ?? path;
  record(host, {
    name: 'api.call',
    attributes: {
      operation: `${request.method ?? 'GET'} ${endpoint}`,
      'api.endpoint': endpoint,
      'http.request.method': request.method ?? 'GET',
      'url.path': path,
      ...(answer.statusCode === undefined ? {} : { 'http.response.status_code': answer.statusCode }),
      'timing.duration_ms': Math.round((machineClock.monotonic() - begunMs) * 1000) / 1000,
    },
  });
}

/** Pattern of the route that Express chose, behind where its router is mounted. */
function expressRoute({ route, baseUrl }: Inbound, path: string): string | undefined {
  const pattern = route?.path;
  if (typeof pattern !== 'string') return undefined;
  if (typeof baseUrl === 'string' && baseUrl !== '') return baseUrl + pattern;
  // The mount is forgotten once a handler has failed: it is what stands before as many parts as a plain pattern has.
  const [parts, own] = [path.split('/'), pattern.split('/')];
  return /[*(){}?+]/.test(pattern) ? pattern : parts.slice(0, parts.length - own.length + 1).join('/') + pattern;
}

/** Whether a host is one of the list, `*.example.com` being all below `example.com`. */
export function isListed(host: string, listed: readonly string[]): boolean {
  const name = host.toLowerCase();
  return listed.some((one) => {
    const pattern = one.toLowerCase();
    return pattern.startsWith('*.') ? name.endsWith(pattern.slice(1)) : name === pattern;
  });
}

function outbound(name: string | undefined, set: (value: string) => void): void {
  const host = findHost();
  if (host === undefined || name === undefined) return;
  guarded(host, 'http client', () => {
    if (!isListed(name, host.settings.propagateTo)) return;
    const span = trace.getSpanContext(context.active());
    if (span === undefined || !isSpanContextValid(span)) return;
    set(`00-${span.traceId}-${span.spanId}-${(span.traceFlags & 0xff).toString(16).padStart(2, '0')}`);
  });
}
