import { spawnSync } from 'node:child_process';
import { chmodSync, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { request } from 'node:http';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { queryTrail } from '../../src/analysis/trail-query.ts';
import { verifyTrail } from '../../src/audit/verify/verify.ts';
import { addServeCommand } from '../../src/cli/commands/serve.ts';
import { createManualClock } from '../../src/core/clock.ts';
import { hostNameOf, hostTest, isCrossSite, isLoopback } from '../../src/server/access/hosts.ts';
import { createToken, type Scope, TokenKeeper } from '../../src/server/access/tokens.ts';
import type { RunningServer, ServeOptions } from '../../src/server/serve.ts';
import { runCommand } from '../support/command.ts';
import { openTestJournal, testEvent } from '../support/journal.ts';
import { ask, closeTestServers, post, startTestServer } from '../support/serve.ts';
import { removeTemporaryDirectories, temporaryDirectory } from '../support/temporary.ts';
import { lines, put, STREAM_A, segmentPath } from '../support/trail-lines.ts';

afterAll(async () => {
  await closeTestServers();
  removeTemporaryDirectories();
});

function makeTrail(): string {
  const dir = temporaryDirectory();
  put(segmentPath(dir, STREAM_A, 0), lines(0, 5));
  return dir;
}

interface Guarded {
  readonly dir: string;
  readonly server: RunningServer;
  readonly tokens: Readonly<Record<string, string>>;
}
async function startGuarded(
  names: Readonly<Record<string, readonly Scope[]>>,
  options: Partial<ServeOptions> = {},
): Promise<Guarded> {
  const dir = makeTrail();
  const made = Object.entries(names).map(([name, scopes]) => [name, createToken(name, scopes)] as const);
  const tokenFile = join(temporaryDirectory(), 'tokens.json');
  writeFileSync(tokenFile, JSON.stringify({ tokens: made.map(([, { entry }]) => entry) }));
  const server = await startTestServer(dir, { tokenFile, ...options });
  return { dir, server, tokens: Object.fromEntries(made.map(([name, { token }]) => [name, token])) };
}
const bearer = (token: string | undefined) => ({ headers: { authorization: `Bearer ${token}` } });

/** A request with headers of one's own, which fetch doesn't send. */
function askWith(
  server: RunningServer,
  own: Readonly<Record<string, string>>,
): Promise<{ status: number; text: string }> {
  return new Promise((resolve, reject) => {
    const { hostname, port, host } = new URL(server.url);
    const asked = request(
      { hostname, port, path: '/v1/events', headers: { host, ...own }, setHost: false },
      (response) => {
        let text = '';
        response.setEncoding('utf8').on('data', (chunk) => {
          text += chunk;
        });
        response.on('end', () => resolve({ status: response.statusCode!, text }));
      },
    );
    asked.on('error', reject).end();
  });
}

describe('tokens', () => {
  it('are needed beyond this machine: the server does not start without', async () => {
    await expect(startTestServer(makeTrail(), { host: '0.0.0.0' })).rejects.toMatchObject({
      code: 'SERVER_TOKEN_NEEDED',
    });
    await expect(startTestServer(makeTrail(), { host: '::' })).rejects.toMatchObject({ code: 'SERVER_TOKEN_NEEDED' });
  });

  it('open what their scopes allow; /health says little without', async () => {
    const { server, tokens } = await startGuarded({ reader: ['read'], clerk: ['acknowledge'] });
    const none = await ask(server, '/v1/events');
    expect([none.status, none.json.code, none.headers.get('www-authenticate')]).toEqual([
      401,
      'TOKEN_REQUIRED',
      'Bearer realm="risktrail"',
    ]);
    expect((await ask(server, '/v1/events', bearer(tokens['reader']))).status).toBe(200);
    expect((await ask(server, '/v1/events', bearer(`${tokens['reader']}x`))).status).toBe(401);
    const clerk = await ask(server, '/v1/events', bearer(tokens['clerk']));
    expect([clerk.status, clerk.json.code]).toEqual([403, 'SCOPE_MISSING']);
    for (const path of ['/', '/docs', '/openapi.json', '/metrics', '/nothing', '/v1/tail'])
      expect([path, (await ask(server, path)).status]).toEqual([path, 401]);
    const health = await ask(server, '/health');
    expect([health.status, Object.keys(health.json)]).toEqual([200, ['status', 'version']]);
    expect(Object.keys((await ask(server, '/health', bearer(tokens['reader']))).json)).toEqual([
      'status',
      'version',
      'integrity',
      'concerns',
    ]);
  });

  it('acknowledge alerts in their name where their scope allows it', async () => {
    const { dir, server, tokens } = await startGuarded(
      { reader: ['read'], clerk: ['read', 'acknowledge'] },
      { redact: (text) => text.replace('secret', '***') },
    );
    const journal = openTestJournal(dir, { serviceName: 'risk-bot', resource: { 'service.name': 'risk-bot' } });
    journal.append(
      testEvent(0, {
        eventName: 'alert.raised',
        attributes: { 'alert.id': 'a1', 'alert.type': 'INFO', 'alert.severity': 'LOW', 'alert.title': 'x' },
      }),
    );
    await journal.close('shutdown');
    const act = (token: string | undefined) =>
      post(server, '/v1/alerts/a1/acknowledge', { reason: 'the secret' }, bearer(token).headers);
    expect((await act(tokens['reader'])).json.code).toBe('SCOPE_MISSING');
    const done = await act(tokens['clerk']);
    expect([done.status, done.json.act]).toEqual([200, 'acknowledged']);
    const { record } = (await ask(server, `/v1/events/${done.json.record_id}`, bearer(tokens['clerk']))).json;
    expect(record).toMatchObject({
      event: 'alert.acknowledged',
      service: 'risk-bot',
      'alert.id': 'a1',
      'alert.note': 'the ***',
      'risk.actor': 'clerk',
    });
  });

  it('are taken from browsers as a password', async () => {
    const { server, tokens } = await startGuarded({ reader: ['read'] });
    const asked = await ask(server, '/docs', { headers: { accept: 'text/html' } });
    expect([asked.status, asked.headers.get('www-authenticate')]).toEqual([401, expect.stringMatching(/^Basic /)]);
    const basic = `Basic ${Buffer.from(`me:${tokens['reader']}`).toString('base64')}`;
    expect((await ask(server, '/docs', { headers: { authorization: basic } })).status).toBe(200);
  });

  it('end with their time', () => {
    const { token, entry } = createToken('one', ['read'], '2026-01-01T00:00:00Z');
    const keeper = new TokenKeeper([entry]);
    const end = Date.parse('2026-01-01T00:00:00Z');
    expect(keeper.callerOf(token, end - 1)).toEqual({ name: 'one', scopes: ['read'] });
    expect(keeper.callerOf(token, end)).toBeUndefined();
  });

  it('are made by risktrail serve token, which keeps nothing but the hash', async () => {
    const { out } = await runCommand(addServeCommand, [
      'serve',
      'token',
      '--name',
      'ops',
      '--scope',
      'read',
      '--scope',
      'acknowledge',
    ]);
    const [, token, entry] = /^token: (rt_[\w-]{43})\nentry: (.*)\n$/.exec(out)!;
    expect(new TokenKeeper([JSON.parse(entry!)]).callerOf(token!, 0)).toEqual({
      name: 'ops',
      scopes: ['read', 'acknowledge'],
    });
    expect(entry).not.toContain(token);
    await expect(
      runCommand(addServeCommand, ['serve', 'token', '--name', 'ops', '--scope', 'write']),
    ).rejects.toMatchObject({ code: 'OPTION_INVALID' });
  });

  it.each([
    ['no file', undefined, /no such file/],
    ['no JSON', '{', /JSON/],
    ['no tokens', '{"tokens": []}', /one token or more/],
    [
      'a token in the clear',
      '{"tokens": [{"name": "a", "scopes": ["read"], "hash": "secret"}]}',
      /tokens\[0\]\.hash: expected sha256/,
    ],
    [
      'an unknown scope',
      `{"tokens": [{"name": "a", "scopes": ["all"], "hash": "sha256:${'0'.repeat(64)}"}]}`,
      /tokens\[0\]\.scopes\[0\]: expected one of/,
    ],
    [
      'an unknown member',
      `{"tokens": [{"name": "a", "scope": "read", "scopes": ["read"], "hash": "sha256:${'0'.repeat(64)}"}]}`,
      /scope: unknown option/,
    ],
    [
      'one name twice',
      JSON.stringify({ tokens: [createToken('a', ['read']).entry, createToken('a', ['read']).entry] }),
      /two tokens/,
    ],
  ])('are refused from a file with %s', async (_what, content, message) => {
    const tokenFile = join(temporaryDirectory(), 'tokens.json');
    if (content !== undefined) writeFileSync(tokenFile, content);
    const failed = startTestServer(makeTrail(), { tokenFile });
    await expect(failed).rejects.toMatchObject({ code: 'TOKEN_FILE_INVALID' });
    await expect(failed).rejects.toThrow(message);
  });
});

describe('every access by token', () => {
  it('is a signed audit event in the server’s own trail, wrong tokens included; the answers leave it out', async () => {
    const { dir, server, tokens } = await startGuarded({ reader: ['read'] });
    const tag = (await ask(server, '/v1/events?limit=2', bearer(tokens['reader']))).headers.get('etag')!;
    await ask(server, '/v1/events/nothing', bearer(tokens['reader']));
    await ask(server, '/v1/status', bearer('rt_wrong'));
    await ask(server, '/v1/status');
    const again = await ask(server, '/v1/events?limit=2', {
      headers: { ...bearer(tokens['reader']).headers, 'if-none-match': tag },
    });
    expect(again.status).toBe(304);
    await server.close();
    const own = join(dir, 'access');
    const found = [];
    for await (const batch of queryTrail([own])) {
      for (const one of batch) {
        if (one.event === 'api.access')
          found.push([
            one['risk.actor'],
            one['http.request.method'],
            one['url.path'],
            one['api.endpoint'],
            one['http.response.status_code'],
          ]);
      }
    }
    expect(found).toEqual([
      ['reader', 'GET', '/v1/events', '/v1/events', 200],
      ['reader', 'GET', '/v1/events/nothing', '/v1/events/:record_id', 404],
      ['unknown token', 'GET', '/v1/status', '/v1/status', 401],
      ['reader', 'GET', '/v1/events', '/v1/events', 304],
    ]);
    expect((await verifyTrail({ paths: [own] })).ok).toBe(true);
    expect(readFileSync(join(own, 'verifier.vkey'), 'utf8')).toMatch(/^risktrail-server\+/);
  });

  it('is recorded and counted as well where the client did not wait for the end', async () => {
    const { dir, server, tokens } = await startGuarded({ reader: ['read'] });
    const leave = new AbortController();
    const reader = bearer(tokens['reader']);
    const tail = await fetch(new URL('/v1/tail?last=1', server.url), { ...reader, signal: leave.signal });
    await tail.body!.getReader().read();
    leave.abort();
    const counted = 'risktrail_http_requests_total{method="GET",route="/v1/tail",status="200"} 1';
    await expect.poll(async () => (await ask(server, '/metrics', reader)).text, { timeout: 30_000 }).toContain(counted);
    await server.close();
    const found = [];
    for await (const batch of queryTrail([join(dir, 'access')])) {
      for (const one of batch) if (one['url.path'] === '/v1/tail') found.push(one['http.response.status_code']);
    }
    expect(found).toEqual([200]);
  });

  it('is not answered where it cannot be recorded: the server does not start', async () => {
    const file = join(temporaryDirectory(), 'file');
    writeFileSync(file, '');
    await expect(startGuarded({ reader: ['read'] }, { auditDir: join(file, 'access') })).rejects.toMatchObject({
      code: 'AUDIT_DIRECTORY_UNUSABLE',
    });
    // Root writes anywhere.
    if (process.getuid?.() === 0) return;
    const closed = temporaryDirectory();
    mkdirSync(join(closed, 'streams'));
    chmodSync(closed, 0o500);
    await expect(startGuarded({ reader: ['read'] }, { auditDir: join(closed, 'access') })).rejects.toMatchObject({
      code: 'AUDIT_DIRECTORY_UNUSABLE',
    });
  });

  it('goes where it is told', async () => {
    const auditDir = join(temporaryDirectory(), 'elsewhere');
    const { dir, server, tokens } = await startGuarded({ reader: ['read'] }, { auditDir });
    await ask(server, '/v1/status', bearer(tokens['reader']));
    await server.close();
    expect([existsSync(join(auditDir, 'streams')), existsSync(join(dir, 'access'))]).toEqual([true, false]);
  });
});

describe('requests of others', () => {
  it('by another name than the server’s are refused (DNS rebinding)', async () => {
    const server = await startTestServer(makeTrail(), { allowedHosts: ['trail.example.com'] });
    const { port } = new URL(server.url);
    for (const host of [`127.0.0.1:${port}`, `localhost:${port}`, 'LOCALHOST', 'trail.example.com', `[::1]:${port}`]) {
      expect([host, (await askWith(server, { host })).status]).toEqual([host, 200]);
    }
    for (const host of [
      'evil.example.com',
      `evil.example.com:${port}`,
      '127.0.0.1.evil.example.com',
      '10.0.0.1',
      'a b',
      'localhost@evil',
    ]) {
      const { status, text } = await askWith(server, { host });
      expect([host, [400, 421].includes(status), JSON.parse(text).status]).toEqual([host, true, status]);
    }
  });

  it('from pages of another origin change nothing, and can’t read: no CORS', async () => {
    const server = await startTestServer(makeTrail());
    const foreign = await post(server, '/v1/query', { sql: 'SELECT 1' }, { origin: 'https://evil.example.com' });
    expect([foreign.status, foreign.json.code]).toEqual([403, 'CROSS_SITE']);
    const plain = await ask(server, '/v1/query', {
      method: 'POST',
      body: '{"sql": "SELECT 1"}',
      headers: { 'content-type': 'text/plain' },
    });
    expect([plain.status, plain.json.code]).toEqual([415, 'MEDIA_TYPE_UNSUPPORTED']);
    const preflight = await ask(server, '/v1/query', {
      method: 'OPTIONS',
      headers: { 'access-control-request-method': 'POST' },
    });
    expect(preflight.status).toBe(405);
    for (const { headers } of [foreign, preflight, await ask(server, '/v1/events')]) {
      expect([...headers.keys()].filter((name) => name.startsWith('access-control'))).toEqual([]);
    }
    const from = (site: string, mode: string, dest: string) =>
      askWith(server, { 'sec-fetch-site': site, 'sec-fetch-mode': mode, 'sec-fetch-dest': dest });
    expect((await from('cross-site', 'no-cors', 'image')).status).toBe(403);
    expect((await from('same-site', 'cors', 'empty')).status).toBe(403);
    expect((await from('cross-site', 'navigate', 'document')).status).toBe(200);
    expect((await from('same-origin', 'cors', 'empty')).status).toBe(200);
    const own = new URL(server.url).origin;
    expect((await post(server, '/v1/query', { sql: 'SELECT 1' }, { origin: own })).status).toBe(200);
  });

  it('know hosts and origins', () => {
    expect(['127.0.0.1', '127.9.9.9', 'localhost', '::1', '[::1]'].every(isLoopback)).toBe(true);
    expect(['0.0.0.0', '::', '10.0.0.1', 'localhost.example.com', '1270.0.0.1'].some(isLoopback)).toBe(false);
    expect(['a.b:1', '[fe80::1]:80', 'A.B', undefined, 'a/b', 'u@a', 'a:b', ''].map(hostNameOf)).toEqual([
      'a.b',
      'fe80::1',
      'a.b',
      undefined,
      undefined,
      undefined,
      undefined,
      undefined,
    ]);
    const everywhere = hostTest('0.0.0.0', ['trail.example.com']);
    expect(['10.0.0.1:80', '[fe80::1]', 'trail.example.com', 'localhost', 'other.example.com'].map(everywhere)).toEqual(
      [true, true, true, true, false],
    );
    expect(
      [
        { 'sec-fetch-site': 'cross-site' },
        { 'sec-fetch-site': 'same-site' },
        { origin: 'null', host: 'a' },
        { origin: 'http://a:1', host: 'a:1' },
        { 'sec-fetch-site': 'none' },
        {},
      ].map(isCrossSite),
    ).toEqual([true, true, true, false, false, false]);
  });

  it('get strict headers with every answer', async () => {
    const server = await startTestServer(makeTrail());
    for (const path of ['/v1/events', '/nothing', '/metrics', '/docs', '/docs/static/swagger-ui.css']) {
      const { headers } = await ask(server, path);
      expect([
        path,
        headers.get('x-content-type-options'),
        headers.get('x-frame-options'),
        headers.get('referrer-policy'),
        headers.get('cross-origin-resource-policy'),
      ]).toEqual([path, 'nosniff', 'DENY', 'no-referrer', 'same-origin']);
      const csp = headers.get('content-security-policy')!;
      expect([path, /default-src '(none|self)'/.test(csp), /unsafe-eval|https?:\/\//.test(csp)]).toEqual([
        path,
        true,
        false,
      ]);
    }
  });

  it('are counted: too many are put off', async () => {
    const server = await startTestServer(makeTrail(), {
      limits: { requestsPerMinute: 3 },
      clock: createManualClock(0),
    });
    const statuses = [];
    for (let n = 0; n < 4; n++) statuses.push((await ask(server, '/nothing')).status);
    expect(statuses).toEqual([404, 404, 404, 429]);
    const late = await ask(server, '/v1/events');
    expect([late.status, late.json.code, Number(late.headers.get('retry-after')) > 0]).toEqual([
      429,
      'TOO_MANY_REQUESTS',
      true,
    ]);
  });
});

describe('the viewer page', () => {
  it('needs nothing from elsewhere', async () => {
    const server = await startTestServer(makeTrail());
    const page = await ask(server, '/docs');
    const links = [...page.text.matchAll(/(?:src|href)="([^"]+)"/g)].map(
      ([, link]) => new URL(link!, `${server.url}/docs/`),
    );
    expect(links.length).toBeGreaterThan(4);
    expect(links.filter(({ origin }) => origin !== server.url)).toEqual([]);
    for (const link of links)
      expect([link.pathname, (await ask(server, link.pathname)).status]).toEqual([link.pathname, 200]);
    expect((await ask(server, '/docs/static/swagger-initializer.js')).text).toContain('"validatorUrl":null');
  });
});

describe('the command', () => {
  it('says in one line what is wrong', () => {
    const main = join(import.meta.dirname, '../../src/cli/main.ts');
    const run = (...args: string[]) => spawnSync(process.execPath, [main, 'serve', ...args], { encoding: 'utf8' });
    const dir = makeTrail();
    const outside = run(dir, '--host', '0.0.0.0');
    expect([outside.status, outside.stderr]).toEqual([
      3,
      expect.stringMatching(/^risktrail: listening on 0\.0\.0\.0 lets other machines in.*--token-file[^\n]*\n$/),
    ]);
    const missing = run(join(dir, 'nothing'));
    expect([missing.status, missing.stderr]).toEqual([
      3,
      expect.stringMatching(/^risktrail: .*nothing: no such file or directory[^\n]*\n$/),
    ]);
  });
});
