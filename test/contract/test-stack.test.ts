import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, existsSync, readFileSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { temporaryDirectory } from '../support/temporary.ts';

const ROOT = join(import.meta.dirname, '../..');
const SCRIPT = join(ROOT, 'scripts/test-stack.ts');
const LONG_MS = 120_000;

let directory: string;
let server: Server;
const asked: string[] = [];

beforeEach(async () => {
  directory = temporaryDirectory();
  asked.length = 0;
  // Stands in for every server: it is ready, and takes what comes.
  server = createServer((request, answer) => {
    asked.push(`${request.method} ${request.url}`);
    answer.end('{}');
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
});
afterEach(() => void server.close());

/** A program of that name which notes how it was called. @param body what it does for each subcommand, as JavaScript */
function fakeDocker(body: string): void {
  const path = join(directory, 'docker');
  const { port } = server.address() as AddressInfo;
  writeFileSync(
    path,
    `#!${process.execPath}
const { appendFileSync } = require('node:fs');
const args = process.argv.slice(2);
appendFileSync('${directory}/calls', JSON.stringify({ args, password: process.env.GRAFANA_ADMIN_PASSWORD ?? '' }) + '\\n');
if (args.includes('port')) console.log('127.0.0.1:${port}');
${body}
`,
  );
  chmodSync(path, 0o755);
}

interface Call {
  readonly args: readonly string[];
  readonly password: string;
}

const calls = (): readonly Call[] =>
  existsSync(join(directory, 'calls'))
    ? readFileSync(join(directory, 'calls'), 'utf8')
        .trimEnd()
        .split('\n')
        .map((line) => JSON.parse(line) as Call)
    : [];

async function runScript(...args: readonly string[]): Promise<{ readonly status: number; readonly output: string }> {
  const child = spawn(process.execPath, [SCRIPT, ...args], { env: { ...process.env, PATH: directory }, stdio: 'pipe' });
  let output = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (text: string) => {
      output += text;
    });
  }
  const [status] = (await once(child, 'close')) as [number];
  return { status, output };
}

/** The subcommands of compose, in their order, without what belongs to the project. */
const subcommands = () =>
  calls()
    .filter(({ args }) => args[1] === '--project-name')
    .map(({ args }) => args.slice(3).join(' '));

it(
  'test:stack --compose brings the servers up, asks them at the addresses that compose tells, and removes them',
  async () => {
    fakeDocker('');
    const { status, output } = await runScript('--compose', 'test/stack/compose.test.ts', '-t', 'are ready');
    expect([status, output]).toEqual([0, expect.stringContaining('1 passed')]);
    expect(asked).toEqual(
      expect.arrayContaining(['GET /ready', 'GET /api/health', 'POST /v1/logs']) as readonly string[],
    );
    expect(subcommands()).toEqual([
      'up --detach --wait --wait-timeout 300',
      'port collector 4318',
      'port loki 3100',
      'port tempo 3200',
      'port grafana 3000',
      'down --volumes --timeout 20',
    ]);
    const own = calls().filter(({ args }) => args[1] === '--project-name');
    expect(new Set(own.map(({ args }) => args[2])).size).toBe(1);
    // docker-compose.yml asks for it each time that it is read.
    expect(new Set(own.map(({ password }) => password)).size).toBe(1);
    expect(own[0]!.password).toMatch(/^[\w-]{36}$/);
  },
  LONG_MS,
);

it('removes what it began where a server does not come up, and shows the logs', async () => {
  fakeDocker("if (args.includes('up')) process.exit(1);");
  const { status, output } = await runScript('--compose');
  expect([status, output.trim()]).toEqual([1, 'docker compose did not bring up every server: see above']);
  expect(subcommands().map((one) => one.split(' ')[0])).toEqual(['up', 'logs', 'down']);
  expect(asked).toEqual([]);
});

it.each([
  ['there is no docker', undefined],
  ['docker has no compose plugin', "if (args[0] === 'compose') process.exit(1);"],
  ['no engine runs', "if (args[0] === 'info') process.exit(1);"],
])('says in one line what is missing where %s', async (_, body) => {
  if (body !== undefined) fakeDocker(body);
  const { status, output } = await runScript('--compose');
  expect(status).toBe(1);
  expect(output.trim().split('\n')).toEqual([expect.stringMatching(/^docker compose cannot be used here: /)]);
  expect(subcommands()).toEqual([]);
});
