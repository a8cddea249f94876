/**
 * Where the tests find the real servers that they run. In this order: a binary that a variable names, one that an earlier
 * run built and keeps outside of the tree, and else a build of our own, which takes Go (for Kafka Maven and Java) and some
 * minutes.
 *
 * | server | variable | version |
 * |---|---|---|
 * | OpenTelemetry Collector | `OTELCOL_BIN` | of `test/stack/collector/builder.yaml` |
 * | Loki | `LOKI_BIN` | of `test/stack/loki/go.mod` |
 * | Collector that reads from Kafka | `OTELCOL_KAFKA_BIN` | of `test/scale/kafka/builder.yaml` |
 * | Kafka | `KAFKA_LIB`, a directory of jars | of `test/scale/kafka/pom.xml` |
 *
 * `RISKTRAIL_STACK_CACHE` says where binaries are kept; `GOFLAGS` (for instance `-p=1`) and the rest of Go's settings are
 * passed through.
 */
import { execFileSync, spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { homedir, setPriority } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { tryLock } from '../../src/audit/journal/lock.ts';
import { testVariable } from './test-variables.ts';

const STACK = fileURLToPath(new URL('../stack', import.meta.url));
const KAFKA = fileURLToPath(new URL('../scale/kafka', import.meta.url));
const GO_AT_LEAST = [1, 26] as const;
const NICENESS = 10;
const LOCK_POLL_MS = 500;

/** What a server is built from. */
interface Recipe {
  readonly version: string;
  /** Names a binary that is at hand already. */
  readonly variable: string;
  /** What it takes to build it, to be installed by whoever runs the tests. */
  readonly needs: 'Go' | 'Maven';
  /** A change of one of this folder's files makes another binary. */
  readonly folder: string;
  readonly files: readonly string[];
  /** Builds in a directory that is thrown away; returns the binary's path. */
  build(directory: string, run: Run): Promise<string>;
}

type Run = (
  program: string,
  args: readonly string[],
  more?: { cwd?: string; env?: NodeJS.ProcessEnv },
) => Promise<void>;

const COLLECTOR_VERSION = '0.159.0';
const READER_VERSION = '0.155.0';

/** Builds a Collector of the parts that a file names. */
async function buildCollector(name: string, version: string, config: string, directory: string, run: Run) {
  await run('go', ['install', `go.opentelemetry.io/collector/cmd/builder@v${version}`], { env: { GOBIN: directory } });
  const output = join(directory, name);
  await run(join(directory, 'builder'), ['--config', config, '--output-path', output, '--ldflags', '-s -w']);
  return join(output, name);
}

const RECIPES = {
  otelcol: {
    version: COLLECTOR_VERSION,
    variable: 'OTELCOL_BIN',
    needs: 'Go',
    folder: join(STACK, 'collector'),
    files: ['builder.yaml'],
    build: (directory, run) =>
      buildCollector('otelcol', COLLECTOR_VERSION, join(STACK, 'collector', 'builder.yaml'), directory, run),
  },
  'otelcol-kafka': {
    version: READER_VERSION,
    variable: 'OTELCOL_KAFKA_BIN',
    needs: 'Go',
    folder: KAFKA,
    files: ['builder.yaml'],
    build: (directory, run) =>
      buildCollector('otelcol-kafka', READER_VERSION, join(KAFKA, 'builder.yaml'), directory, run),
  },
  kafka: {
    version: '4.1.0',
    variable: 'KAFKA_LIB',
    needs: 'Maven',
    folder: KAFKA,
    files: ['pom.xml'],
    async build(directory, run) {
      cpSync(join(KAFKA, 'pom.xml'), join(directory, 'pom.xml'));
      const jars = join(directory, 'lib');
      await run('mvn', ['-B', '-q', 'dependency:copy-dependencies', `-DoutputDirectory=${jars}`], { cwd: directory });
      return jars;
    },
  },
  loki: {
    version: '3.7.8',
    variable: 'LOKI_BIN',
    needs: 'Go',
    folder: join(STACK, 'loki'),
    files: ['go.mod', 'go.sum'],
    async build(directory, run) {
      cpSync(join(STACK, 'loki'), directory, { recursive: true });
      await run('go', ['build', '-trimpath', '-ldflags', '-s -w', '-o', 'loki', 'tool'], { cwd: directory });
      return join(directory, 'loki');
    },
  },
} satisfies Record<string, Recipe>;

/** A server that the tests can run. */
export type StackServer = keyof typeof RECIPES;

/** Version of a server, as it is built here. */
export const stackVersion = (server: StackServer): string => RECIPES[server].version;

/** A binary, or why there is none. */
export type StackBinary = { readonly path: string } | { readonly path: undefined; readonly reason: string };

function cacheDirectory(): string {
  const given = testVariable('RISKTRAIL_STACK_CACHE');
  if (given !== undefined && given !== '') return given;
  return join(process.env['XDG_CACHE_HOME'] || join(homedir(), '.cache'), 'risktrail-stack');
}

/** Where a server's binary is kept: version and what it is built from are in the name. */
function cachedPath(server: StackServer): string {
  const { version, folder, files }: Recipe = RECIPES[server];
  const hash = createHash('sha256');
  for (const file of files) hash.update(readFileSync(join(folder, file)));
  return join(cacheDirectory(), `${server}-${version}-${hash.digest('hex').slice(0, 12)}`, server);
}

const WANTED = { Go: `Go ${GO_AT_LEAST.join('.')}`, Maven: 'Maven and Java 17' } as const;

/** Looks without building. */
export function findStackBinary(server: StackServer): StackBinary {
  const { variable, needs }: Recipe = RECIPES[server];
  const given = process.env[variable];
  if (given !== undefined && given !== '') {
    if (!existsSync(given)) throw new Error(`${variable} names ${given}, which does not exist`);
    return { path: given };
  }
  const path = cachedPath(server);
  if (existsSync(path)) return { path };
  return {
    path: undefined,
    reason: `${server} is not at hand: set ${variable}, or install ${WANTED[needs]}`,
  };
}

function canBuild(needs: Recipe['needs']): boolean {
  try {
    if (needs === 'Maven') {
      execFileSync('mvn', ['-v'], { stdio: 'ignore' });
      return true;
    }
    const version = /go(\d+)\.(\d+)/.exec(execFileSync('go', ['env', 'GOVERSION'], { encoding: 'utf8' }));
    const [major, minor] = [Number(version?.[1]), Number(version?.[2])];
    return major > GO_AT_LEAST[0] || (major === GO_AT_LEAST[0] && minor >= GO_AT_LEAST[1]);
  } catch {
    return false;
  }
}

/** Runs a step of a build with low priority; what it prints is shown only where it fails. */
const run: Run = async (program, args, { cwd, env } = {}) => {
  const child = spawn(program, args, { cwd, env: { ...process.env, ...env }, stdio: ['ignore', 'pipe', 'pipe'] });
  const output: Buffer[] = [];
  child.stdout.on('data', (chunk: Buffer) => output.push(chunk));
  child.stderr.on('data', (chunk: Buffer) => output.push(chunk));
  child.once('spawn', () => setPriority(child.pid!, NICENESS));
  const [status] = (await once(child, 'close')) as [number | null];
  if (status !== 0) {
    const words = Buffer.concat(output).toString().slice(-4000);
    throw new Error(`${program} ${args.join(' ')} failed:\n${words}`);
  }
};

/**
 * Finds or builds a server. One builds, others wait for it: also other processes, also where a builder is killed. Without
 * Go there is no binary, with a reason that a skipped test can show; with `CI` or
 * `RISKTRAIL_REQUIRE_STACK=1` in the environment that is an error.
 */
export async function stackBinary(server: StackServer): Promise<StackBinary> {
  const found = findStackBinary(server);
  if (found.path !== undefined) return found;
  if (!canBuild(RECIPES[server].needs)) {
    if (process.env['CI'] || testVariable('RISKTRAIL_REQUIRE_STACK') === '1') throw new Error(found.reason);
    return found;
  }
  const cache = cacheDirectory();
  mkdirSync(cache, { recursive: true });
  let lock = tryLock(join(cache, 'lock'));
  for (; lock === undefined; lock = tryLock(join(cache, 'lock'))) await sleep(LOCK_POLL_MS);
  try {
    const again = findStackBinary(server);
    if (again.path !== undefined) return again;
    const path = cachedPath(server);
    mkdirSync(join(path, '..'), { recursive: true });
    const directory = mkdtempSync(join(cache, 'build-'));
    try {
      console.log(`building ${server} ${RECIPES[server].version}: this takes some minutes, once`);
      renameSync(await RECIPES[server].build(directory, run), path);
      writeFileSync(join(path, '..', 'built'), `${new Date().toISOString()}\n`);
    } finally {
      rmSync(directory, { recursive: true, force: true });
    }
    return { path };
  } finally {
    lock.release();
  }
}
