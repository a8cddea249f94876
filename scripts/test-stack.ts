/**
 * The tests with real servers: `npm run test:stack [-- --compose] [what vitest takes]`.
 *
 * Without `--compose` the servers are found or built, and each test starts its own. With it `docker compose up` starts those
 * of `docker-compose.yml`, the tests that need no more than addresses ask them, and `docker compose down` removes them and their
 * volumes, whatever happens.
 */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { join } from 'node:path';
import { COMPOSE_SERVERS, type ComposeStack } from '../test/support/stack-servers.ts';

const ROOT = join(import.meta.dirname, '..');
const VITEST = join(ROOT, 'node_modules/vitest/vitest.mjs');
const VITEST_ARGS = [VITEST, 'run', '--config', 'test/stack/vitest.config.ts'];
/** The first counts everything that is in Loki: it wants servers that nobody else has used. */
const COMPOSE_TESTS = [
  ['test/stack/dashboards.test.ts'],
  ['test/stack/compose.test.ts', 'test/stack/alerting.test.ts'],
] as const;
const WAIT_SECONDS = 300;

const given = process.argv.slice(2);
const args = given.filter((arg) => arg !== '--compose');

let current: ChildProcess | undefined;
let told: NodeJS.Signals | undefined;
// What runs ends first, and what has to be put away behind it is.
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
  process.on(signal, () => {
    told = signal;
    current?.kill(signal);
  });
}

/** Runs a program; @returns its exit status. */
async function run(program: string, own: readonly string[], env: NodeJS.ProcessEnv = {}): Promise<number> {
  current = spawn(program, own, { cwd: ROOT, env: { ...process.env, ...env }, stdio: 'inherit' });
  const [status] = (await once(current, 'close')) as [number | null];
  current = undefined;
  return status ?? 1;
}

function hasCompose(): boolean {
  try {
    execFileSync('docker', ['compose', 'version'], { stdio: 'ignore' });
    execFileSync('docker', ['info'], { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
}

async function withCompose(): Promise<number> {
  if (!hasCompose()) {
    console.error(
      'docker compose cannot be used here: it takes Docker with its compose plugin and an engine that runs; without --compose the servers are processes',
    );
    return 1;
  }
  const project = `risktrail-test-${process.pid}`;
  const password = randomUUID();
  const env = { GRAFANA_ADMIN_PASSWORD: password };
  const docker = (...own: readonly string[]) => ['compose', '--project-name', project, ...own];
  const down = () => run('docker', docker('down', '--volumes', '--timeout', '20'), env);
  try {
    if ((await run('docker', docker('up', '--detach', '--wait', '--wait-timeout', String(WAIT_SECONDS)), env)) !== 0) {
      await run('docker', docker('logs', '--tail', '20'), env);
      console.error('docker compose did not bring up every server: see above');
      return 1;
    }
    const addresses = Object.entries(COMPOSE_SERVERS).map(([name, [service, port]]) => {
      const address = execFileSync('docker', docker('port', service, String(port)), {
        cwd: ROOT,
        env: { ...process.env, ...env },
        encoding: 'utf8',
      });
      return [name, `http://${address.trim()}`];
    });
    const stack = { project, password, ...Object.fromEntries(addresses) } as ComposeStack;
    const testEnv = { ...env, RISKTRAIL_STACK_COMPOSE: JSON.stringify(stack) };
    let worst = 0;
    for (const files of args.length > 0 ? [args] : COMPOSE_TESTS) {
      if (told !== undefined) return 1;
      const status = await run(process.execPath, [...VITEST_ARGS, ...files], testEnv);
      worst = Math.max(worst, status);
    }
    return worst;
  } finally {
    await down();
  }
}

process.exitCode = given.includes('--compose')
  ? await withCompose()
  : await run(process.execPath, [...VITEST_ARGS, ...args]);
