import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  accessSync,
  constants,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

const exec = promisify(execFile);
const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const MANIFEST = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8'));
const TSC = join(ROOT, 'node_modules/typescript/bin/tsc');

const APP = mkdtempSync(join(tmpdir(), 'risktrail-package-'));
const PACKAGE = join(APP, 'node_modules/risktrail');
const TRAIL = join(APP, 'trail');
afterAll(() => rmSync(APP, { recursive: true, force: true }));

const node = (args: readonly string[], env: Readonly<Record<string, string>> = {}) =>
  exec(process.execPath, args, { cwd: APP, env: { PATH: process.env['PATH'], ...env } });

/** The application's own packages, and of ours only those that `package.json` declares. */
function install(): void {
  const packages = [...Object.keys(MANIFEST.dependencies), ...Object.keys(MANIFEST.peerDependencies), '@types/node'];
  for (const name of packages) {
    const link = join(APP, 'node_modules', name);
    mkdirSync(dirname(link), { recursive: true });
    symlinkSync(join(ROOT, 'node_modules', name), link);
  }
}

/** As `npm run build` does, in a place of its own. */
async function build(): Promise<void> {
  mkdirSync(PACKAGE, { recursive: true });
  const files: readonly string[] = ['package.json', ...MANIFEST.files.filter((name: string) => name !== 'dist')];
  for (const name of files) cpSync(join(ROOT, name), join(PACKAGE, name), { recursive: true });
  await exec(process.execPath, [TSC, '-p', join(ROOT, 'tsconfig.build.json'), '--outDir', join(PACKAGE, 'dist')]);
  await exec(process.execPath, [join(ROOT, 'scripts/bundle.ts')], { cwd: PACKAGE });
  const source = join(PACKAGE, 'src');
  symlinkSync(join(ROOT, 'src'), source);
  await exec(process.execPath, [join(ROOT, 'scripts/copy-assets.ts')], { cwd: PACKAGE });
  rmSync(source);
}

beforeAll(async () => {
  install();
  await build();
  writeFileSync(join(APP, 'package.json'), '{ "name": "app", "private": true }');
}, 120_000);

const BODY = `
  const trail = await startRiskTrail({ serviceName: 'app', dataDir: process.env.TRAIL });
  const limits = trail.portfolioLimits({ orderNotional: { max: 100 } });
  const { allowed } = limits.checkEntry({ equity: 1000, positions: [] }, { symbol: 'A', side: 'buy', quantity: 9, price: 50 });
  await trail.close();
  console.log(JSON.stringify({ version: VERSION, allowed, running: (() => { try { return getRiskTrail(); } catch (error) { return error.code; } })() }));
`;
const EXPECTED = { version: MANIFEST.version, allowed: false, running: 'NOT_STARTED' };

describe('the built package', () => {
  it('has every file that its manifest names, and a command that can be executed', () => {
    const paths = (value: unknown): string[] =>
      typeof value === 'string' ? [value] : Object.values(value as object).flatMap(paths);
    for (const path of [...paths(MANIFEST.exports), ...paths(MANIFEST.bin)]) {
      expect(existsSync(join(PACKAGE, path)), path).toBe(true);
    }
    const command = join(PACKAGE, MANIFEST.bin.risktrail);
    accessSync(command, constants.X_OK);
    expect(readFileSync(command, 'utf8')).toMatch(/^#!\/usr\/bin\/env node\n/);
    expect(existsSync(join(PACKAGE, 'dist/demo/data/sp500-2000.csv'))).toBe(true);
  });

  it('is imported from an ES module', async () => {
    writeFileSync(join(APP, 'esm.mjs'), `import { getRiskTrail, startRiskTrail, VERSION } from 'risktrail';${BODY}`);
    const { stdout, stderr } = await node(['esm.mjs'], { TRAIL });
    expect(stderr).toBe('');
    expect(JSON.parse(stdout)).toEqual(EXPECTED);
  });

  it('is required from CommonJS, so nothing in it awaits at its top level', async () => {
    writeFileSync(
      join(APP, 'common.cjs'),
      `const { getRiskTrail, startRiskTrail, VERSION } = require('risktrail');(async () => {${BODY}})();`,
    );
    const { stdout, stderr } = await node(['common.cjs'], { TRAIL });
    expect(stderr).toBe('');
    expect(JSON.parse(stdout)).toEqual(EXPECTED);
  });

  it('is one and the same for both, so that a trail started by the one is found by the other', async () => {
    writeFileSync(
      join(APP, 'both.mjs'),
      `import { createRequire } from 'node:module';
       import { startRiskTrail } from 'risktrail';
       const common = createRequire(import.meta.url)('risktrail');
       const trail = await startRiskTrail({ serviceName: 'app', dataDir: process.env.TRAIL });
       console.log(common.getRiskTrail() === trail);
       await trail.close();`,
    );
    expect((await node(['both.mjs'], { TRAIL })).stdout).toBe('true\n');
  });

  it('runs its command', async () => {
    const command = join(PACKAGE, MANIFEST.bin.risktrail);
    expect((await node([command, '--version'])).stdout).toBe(`${MANIFEST.version}\n`);
    expect((await node([command, '--help'])).stdout).toMatch(/^Usage: risktrail/);
    expect((await node([command, 'schema', 'order.placed'])).stdout).toContain('order.placed');
    writeFileSync(join(APP, 'once.mjs'), `import { startRiskTrail, VERSION, getRiskTrail } from 'risktrail';${BODY}`);
    await node(['once.mjs'], { TRAIL });
    expect((await node([command, 'verify', TRAIL, '--strict'])).stdout).toContain('PASSED');
    const { stdout } = await node([command, 'events', TRAIL, '--event', 'risk.portfolio_limit.*', '--json']);
    expect(stdout).toContain('"risk.portfolio_limit.check"');
  });
});

describe('the built package under the flag', () => {
  const flag = { OTEL_SERVICE_NAME: 'app' };

  it('loads few files, and none of the SDK of OpenTelemetry, whose exporters wait for something to export', async () => {
    writeFileSync(
      join(APP, 'count.mjs'),
      `import { registerHooks } from 'node:module';
       const urls = [];
       registerHooks({ load: (url, context, next) => (urls.push(url), next(url, context)) });
       process.on('exit', () => console.log(JSON.stringify(urls)));`,
    );
    const { stdout } = await node(['--import', './count.mjs', '--import', 'risktrail/register', '-e', '0'], {
      ...flag,
      RISKTRAIL_DATA_DIR: join(APP, 'counted'),
      OTEL_EXPORTER_OTLP_ENDPOINT: 'http://127.0.0.1:9',
    });
    const files = (JSON.parse(stdout) as string[]).filter((url) => url.startsWith('file:'));
    const ours = files.filter((url) => url.includes('/risktrail/dist/'));
    expect(ours.length).toBeGreaterThan(1);
    expect(ours.length).toBeLessThanOrEqual(10);
    const packages = new Set(files.map((url) => /.*\/node_modules\/((?:@[^/]+\/)?[^/]+)/.exec(url)?.[1]));
    expect([...packages].filter((name) => name?.startsWith('@opentelemetry/'))).toEqual(['@opentelemetry/api']);
  });

  it.each([
    ['--import', 'risktrail/register'],
    ['--require', 'risktrail/register'],
  ])('by %s %s sees what a library does', async (...flags) => {
    mkdirSync(join(APP, 'node_modules'), { recursive: true });
    const library = join(APP, 'node_modules/opossum');
    if (!existsSync(library)) symlinkSync(join(ROOT, 'node_modules/opossum'), library);
    writeFileSync(
      join(APP, 'breaker.cjs'),
      `const CircuitBreaker = require('opossum');
       const wait = () => {
         if (globalThis[Symbol.for('risktrail.current')] === undefined) return setTimeout(wait, 5);
         const breaker = new CircuitBreaker(async () => { throw new Error('down'); }, { name: 'venue', volumeThreshold: 1 });
         breaker.fire().catch(() => breaker.shutdown());
       };
       wait();`,
    );
    const dataDir = join(APP, `flagged${flags[0]}`);
    await node([...flags, 'breaker.cjs'], { ...flag, RISKTRAIL_DATA_DIR: dataDir });
    const command = join(PACKAGE, MANIFEST.bin.risktrail);
    expect((await node([command, 'verify', dataDir, '--strict'])).stdout).toContain('PASSED');
    const { stdout } = await node([command, 'events', dataDir, '--json']);
    expect(stdout).toContain('"risk.circuit_breaker.state_change"');
  });

  it('sends records, spans, metrics and log lines by its threads and exporters', async () => {
    const program = `
      const trail = globalThis[Symbol.for('risktrail.current')];
      setInterval(() => trail.timed('work', () => trail.logger('app').info('line')), 20);`;
    writeFileSync(join(APP, 'sending.mjs'), program);
    const seen = new Map<string, string>();
    const wanted = ['audit', 'lines', 'spans', 'metrics'];
    const server = createServer((request, response) => {
      let body = '';
      request.setEncoding('latin1').on('data', (text: string) => {
        body += text;
      });
      request.on('end', () => {
        response.writeHead(200, { 'content-type': request.headers['content-type'] }).end();
        if (request.url === '/v1/traces') seen.set('spans', body);
        else if (request.url === '/v1/metrics') seen.set('metrics', body);
        else seen.set(body.includes('audit.record.id') ? 'audit' : 'lines', body);
        if (wanted.every((name) => seen.has(name))) child.kill();
      });
    }).listen(0, '127.0.0.1');
    await once(server, 'listening');
    const { port } = server.address() as AddressInfo;
    const child = spawn(process.execPath, ['--import', 'risktrail/register', 'sending.mjs'], {
      cwd: APP,
      env: {
        PATH: process.env['PATH'],
        ...flag,
        RISKTRAIL_DATA_DIR: join(APP, 'sending'),
        OTEL_EXPORTER_OTLP_ENDPOINT: `http://127.0.0.1:${port}`,
        OTEL_METRIC_EXPORT_INTERVAL: '200',
        OTEL_BSP_SCHEDULE_DELAY: '200',
      },
      stdio: ['ignore', 'inherit', 'inherit'],
      timeout: 60_000,
    });
    await once(child, 'close');
    server.closeAllConnections();
    server.close();
    expect([...seen.keys()].sort()).toEqual([...wanted].sort());
    expect(seen.get('metrics')).toContain('risktrail.journal.records');
  }, 90_000);
});

const CONSUMER = `
import { createManualClock, defineEvents, isRiskTrailError, type RiskTrail, startRiskTrail } from 'risktrail';

export async function main(): Promise<string | undefined> {
  const events = defineEvents({
    attributes: { 'acme.score': { type: 'number', brief: 'Score.' } },
    events: { 'acme.rebalanced': { brief: 'Rebalanced', required: ['acme.score'] } },
  });
  const trail = await startRiskTrail({ serviceName: 'app', events, clock: createManualClock(0) });
  trail.emit('acme.rebalanced', { 'acme.score': 1 });
  // @ts-expect-error an attribute that it needs is missing
  trail.emit('acme.rebalanced', {});
  // @ts-expect-error no such event
  trail.emit('order.palced', {});
  // @ts-expect-error a misspelt attribute
  trail.emit('order.placed', { 'trading.symbol': 'A', 'trading.side': 'buy', 'trading.quantity': 1, 'trading.prize': 1 });
  // @ts-expect-error a wrong type
  trail.emit('order.placed', { 'trading.symbol': 'A', 'trading.side': 1, 'trading.quantity': 1 });
  const plain: RiskTrail = await startRiskTrail({ serviceName: 'app' });
  const breaker = plain.circuitBreaker('broker', { failureThreshold: 5, windowMs: 60_000, cooldownMs: 30_000 });
  const filled: string = await breaker.execute(async () => 'filled');
  try {
    return plain.emit('trade.entry', {
      'trading.symbol': 'AAPL',
      'trading.side': 'buy',
      'trading.quantity': 100,
      'trading.price': 150.25,
    });
  } catch (error) {
    return isRiskTrailError(error, 'NOT_STARTED') ? error.code : filled;
  } finally {
    await plain.close();
  }
}
`;

describe('the types of the built package', () => {
  it.each([
    ['nodenext, an ES module', 'consumer.mts', { module: 'nodenext' }],
    ['nodenext, CommonJS', 'consumer.cts', { module: 'nodenext' }],
    ['bundler', 'consumer.ts', { module: 'esnext', moduleResolution: 'bundler' }],
  ])('check a consumer: %s', { concurrent: true }, async (_, file, options) => {
    writeFileSync(join(APP, file), CONSUMER);
    const config = join(APP, `tsconfig.${file}.json`);
    const compilerOptions = {
      ...{ strict: true, noEmit: true, target: 'es2024', lib: ['es2024', 'esnext.disposable'], types: ['node'] },
      // Ours too, not the consumer's alone.
      skipLibCheck: false,
      ...options,
    };
    writeFileSync(config, JSON.stringify({ compilerOptions, files: [file] }));
    const { stdout } = await exec(process.execPath, [TSC, '-p', config]).catch((error) => error);
    expect(stdout).toBe('');
  });
});
