/** Servers for tests: on a free port of this machine, ended behind the last test of a file. */
import { type RunningServer, type ServeOptions, serveTrail } from '../../src/server/serve.ts';

const running: RunningServer[] = [];

/** A server over a trail; files are looked at for every request, and nothing is verified in the background. */
export async function startTestServer(
  paths: string | readonly string[],
  options: Partial<ServeOptions> = {},
): Promise<RunningServer> {
  const server = await serveTrail({
    paths: typeof paths === 'string' ? [paths] : paths,
    port: 0,
    freshMs: 0,
    verifyIntervalMs: 0,
    // A defect shows in the test's answer; here it says where it is.
    onWarning: (text) => console.error(text),
    ...options,
  });
  running.push(server);
  return server;
}

/** Ends them all. */
export async function closeTestServers(): Promise<void> {
  await Promise.all(running.splice(0).map((server) => server.close()));
}

/** What a server answered. */
export interface Answer {
  readonly status: number;
  readonly headers: Headers;
  readonly text: string;
  // biome-ignore lint/suspicious/noExplicitAny: answers are looked at by their members
  readonly json: any;
}

/** Asks a server. */
export async function ask(server: RunningServer, path: string, init: RequestInit = {}): Promise<Answer> {
  const response = await fetch(new URL(path, server.url), init);
  const text = await response.text();
  const isJson =
    /json/.test(response.headers.get('content-type') ?? '') &&
    text !== '' &&
    !/ndjson/.test(response.headers.get('content-type')!);
  return { status: response.status, headers: response.headers, text, json: isJson ? JSON.parse(text) : undefined };
}

/** A POST of JSON. */
export const post = (
  server: RunningServer,
  path: string,
  body: unknown,
  headers: Readonly<Record<string, string>> = {},
): Promise<Answer> =>
  ask(server, path, {
    method: 'POST',
    body: JSON.stringify(body),
    headers: { 'content-type': 'application/json', ...headers },
  });
