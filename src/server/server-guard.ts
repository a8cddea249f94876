/** What every request must pass: the Host header, the origin, the token and its scopes; and the headers of every answer. */
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import type { AccessJournal } from './access/access-journal.ts';
import { isCrossSite } from './access/hosts.ts';
import type { Caller, Scope, TokenKeeper } from './access/tokens.ts';
import { CLIENT_GONE, ProblemError } from './problem.ts';
import type { ServerContext } from './server-context.ts';

/** What the guard checks by. */
export interface GuardOptions {
  /** undefined: nobody needs a token, as on loopback without a token file. */
  readonly tokens: TokenKeeper | undefined;
  readonly access: AccessJournal | undefined;
  isOwnHost(header: string | undefined): boolean;
}

/** Who asks without a token where none is needed. */
export const LOCAL: Caller = { name: 'local', scopes: ['read', 'acknowledge'] };
const callers = new WeakMap<FastifyRequest, Caller>();
const presented = new WeakSet<FastifyRequest>();

/** Who asks; undefined for somebody without a valid token. */
export const callerOf = (request: FastifyRequest): Caller | undefined => callers.get(request);

/** Headers of every answer: it is not to be framed, sniffed, shared or referred to. */
export function securityHeaders(): Readonly<Record<string, string>> {
  return {
    'x-content-type-options': 'nosniff',
    'x-frame-options': 'DENY',
    'referrer-policy': 'no-referrer',
    'cross-origin-resource-policy': 'same-origin',
    'cross-origin-opener-policy': 'same-origin',
    'permissions-policy': 'interest-cohort=()',
  };
}

/** An answer that is no page needs nothing of a browser. */
const NO_PAGE = "default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'";

/** Adds the checks to a server. */
export function addGuard(
  app: FastifyInstance,
  context: ServerContext,
  { tokens, access, isOwnHost }: GuardOptions,
): void {
  const told = new WeakSet<FastifyRequest>();

  /** Counts a request and, where a token was shown, records it: once. */
  function tell(request: FastifyRequest, reply: FastifyReply, status: number): void {
    if (told.has(request)) return;
    told.add(request);
    const route = request.routeOptions.url ?? 'none';
    context.counts.add(request.method, route, status, reply.elapsedTime / 1000);
    if (access === undefined || !presented.has(request)) return;
    access.add({
      actor: callers.get(request)?.name,
      method: request.method,
      path: request.url.split('?', 1)[0]!,
      route,
      status,
      durationMs: reply.elapsedTime,
    });
  }

  app.addHook('onRequest', async (request, reply) => {
    // The framework tells of no answer that the client did not wait for, such as every live tail: what was read was read.
    const { raw } = reply;
    raw.once('close', () => {
      if (!raw.writableFinished) tell(request, reply, raw.headersSent ? raw.statusCode : CLIENT_GONE);
    });
    const { host } = request.headers;
    if (!isOwnHost(host)) {
      const remedy = 'Ask by the address that the server listens on, or start it with --allow-host for this name.';
      throw new ProblemError(
        421,
        'HOST_UNKNOWN',
        `this server is not ${JSON.stringify(host ?? 'a host without name')}`,
        { remedy },
      );
    }
    if (isCrossSite(request.headers) && !isVisit(request)) {
      throw new ProblemError(403, 'CROSS_SITE', 'a page of another origin may ask and change nothing here');
    }
    const caller = tokens === undefined ? LOCAL : tokenCaller(tokens, request, context.clock.now());
    if (caller !== undefined) callers.set(request, caller);
    const scope = scopeOf(request);
    if (scope !== 'none') requireScope(caller, scope, request.headers.accept?.includes('text/html') === true);
  });

  app.addHook('onSend', async (_request, reply, payload) => {
    for (const [name, value] of Object.entries(securityHeaders())) reply.header(name, value);
    if (!reply.hasHeader('content-security-policy')) reply.header('content-security-policy', NO_PAGE);
    if (!reply.hasHeader('cache-control')) reply.header('cache-control', 'no-store');
    return payload;
  });

  app.addHook('onResponse', async (request, reply) => tell(request, reply, reply.statusCode));
}

/** Whether somebody follows a link: what is shown then, the page that has the link does not see. */
const isVisit = ({ method, headers }: FastifyRequest): boolean =>
  method === 'GET' && headers['sec-fetch-mode'] === 'navigate' && headers['sec-fetch-dest'] === 'document';

/** A route that is not there is told to those alone who may read. */
function scopeOf(request: FastifyRequest): Scope | 'none' {
  const config = request.routeOptions.config as { scope?: Scope | 'none' } | undefined;
  return config?.scope ?? 'read';
}

function tokenCaller(tokens: TokenKeeper, request: FastifyRequest, nowMs: number): Caller | undefined {
  const { authorization } = request.headers;
  if (authorization === undefined) return undefined;
  presented.add(request);
  const token = tokenIn(authorization);
  return token === undefined ? undefined : tokens.callerOf(token, nowMs);
}

/** The token of a bearer, or, for browsers, which ask their user, the password of the basic scheme. */
function tokenIn(authorization: string): string | undefined {
  const bearer = /^Bearer +([\w.~+/-]+=*)$/i.exec(authorization)?.[1];
  if (bearer !== undefined) return bearer;
  const basic = /^Basic +([\w+/-]+=*)$/i.exec(authorization)?.[1];
  if (basic === undefined) return undefined;
  const pair = Buffer.from(basic, 'base64').toString('utf8');
  return pair.slice(pair.indexOf(':') + 1);
}

/** @param inBrowser whether a browser asks for a page: it asks its user for the token, as a password */
function requireScope(caller: Caller | undefined, scope: Scope, inBrowser: boolean): void {
  if (caller === undefined) {
    throw new ProblemError(401, 'TOKEN_REQUIRED', 'a valid token is required', {
      remedy: 'Send it as Authorization: Bearer TOKEN; risktrail serve token makes one.',
      headers: {
        'www-authenticate': inBrowser
          ? 'Basic realm="risktrail: any name, the token as password"'
          : 'Bearer realm="risktrail"',
      },
    });
  }
  if (!caller.scopes.includes(scope)) {
    throw new ProblemError(403, 'SCOPE_MISSING', `the token ${caller.name} has no scope ${scope}`, {
      headers: { 'www-authenticate': `Bearer realm="risktrail", error="insufficient_scope", scope="${scope}"` },
    });
  }
}
