import { existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { REGISTER, REGISTER_REQUIRE, runBot } from '../../support/bots/run-bot.ts';
import { readTrail, temporaryDirectory } from '../../support/trail.ts';

/** A program in a directory of its own; `trail` is what code finds that knows of risktrail. */
function program(
  name: string,
  source: string,
): { readonly path: string; readonly cwd: string; readonly dataDir: string } {
  const cwd = temporaryDirectory();
  const path = join(cwd, name);
  writeFileSync(path, source);
  return { path, cwd, dataDir: join(cwd, 'data') };
}

const EMIT = `globalThis[Symbol.for('risktrail.current')].emit('strategy.signal', { 'trading.symbol': 'FIRST' });`;
const events = async (dataDir: string) => (await readTrail(dataDir)).map(({ event }) => event);

describe('a program under the flag', () => {
  it.each<[string, string, string, readonly string[]]>([
    ['an ES module', 'app.mjs', `${EMIT}`, ['--import', REGISTER]],
    ['a CommonJS program', 'app.cjs', `${EMIT}`, ['--import', REGISTER]],
    ['TypeScript by type stripping', 'app.ts', `const a: string = 'x'; ${EMIT}`, ['--import', REGISTER]],
    [
      'TypeScript by tsx',
      'app.ts',
      `enum E { A } ; ${EMIT}`,
      ['--import', import.meta.resolve('tsx'), '--import', REGISTER],
    ],
    [
      'CommonJS by --require',
      'app.cjs',
      `const wait = () => globalThis[Symbol.for('risktrail.current')] === undefined ? setTimeout(wait, 5) : (${EMIT.slice(0, -1)}); wait();`,
      ['--require', REGISTER_REQUIRE],
    ],
  ])('%s has the trail from its first line and ends in order', async (_, name, source, flags) => {
    const { path, cwd, dataDir } = program(name, source);
    const result = await runBot(path, [], { dataDir, cwd, flags });
    expect(result).toEqual({ code: 0, signal: null, out: '', err: '' });
    expect(
      (await events(dataDir)).filter((event) => !event?.startsWith('audit.') && !event?.includes('snapshot')),
    ).toEqual(['system.start', 'strategy.signal', 'system.stop']);
  });

  it('is found by NODE_OPTIONS, in worker threads and in the children of a cluster: a stream each', async () => {
    const { path, cwd, dataDir } = program(
      'app.mjs',
      `import cluster from 'node:cluster'; import { Worker, isMainThread } from 'node:worker_threads'; import { once } from 'node:events';
       ${EMIT}
       if (isMainThread && cluster.isPrimary) {
         await once(new Worker(new URL(import.meta.url)), 'exit');
         await once(cluster.fork(), 'exit');
       } else if (cluster.isWorker) process.disconnect();`,
    );
    const result = await runBot(path, [], { dataDir, cwd, flags: [], env: { NODE_OPTIONS: `--import ${REGISTER}` } });
    expect(result).toMatchObject({ code: 0, err: '' });
    const records = await readTrail(dataDir);
    const signals = records.filter(({ event }) => event === 'strategy.signal');
    expect(new Set(signals.map(({ stream }) => stream)).size).toBe(3);
  });

  it('keeps its exit code, its listeners and its signals', async () => {
    const { path, cwd, dataDir } = program(
      'app.mjs',
      `process.on('SIGTERM', () => { console.log('mine', process.listenerCount('SIGTERM')); process.exit(7); });
       console.log(process.listenerCount('SIGUSR2'), process.listenerCount('unhandledRejection'), process.listenerCount('uncaughtException'));
       setInterval(() => {}, 1000); process.kill(process.pid, 'SIGTERM');`,
    );
    const result = await runBot(path, [], { dataDir, cwd });
    expect(result).toEqual({ code: 7, signal: null, out: '0 0 0\nmine 1\n', err: '' });
    expect((await events(dataDir)).filter((event) => event === 'system.stop')).toHaveLength(1);
  });

  it('ends by the signal where it does not listen itself', async () => {
    const { path, cwd, dataDir } = program(
      'app.mjs',
      `setInterval(() => {}, 1000); process.kill(process.pid, 'SIGTERM');`,
    );
    expect(await runBot(path, [], { dataDir, cwd })).toMatchObject({ code: null, signal: 'SIGTERM' });
    expect(await events(dataDir)).toContain('audit.stream_closed');
  });

  it('loses nothing and ends with its own code where no Collector answers', async () => {
    const { path, cwd, dataDir } = program(
      'app.mjs',
      `for (let i = 0; i < 500; i++) { ${EMIT} } process.exitCode = 5;`,
    );
    const env = { OTEL_EXPORTER_OTLP_ENDPOINT: 'http://127.0.0.1:9', OTEL_METRICS_EXPORTER: 'none' };
    const result = await runBot(path, [], { dataDir, cwd, env });
    expect(result).toMatchObject({ code: 5, signal: null });
    expect((await events(dataDir)).filter((event) => event === 'strategy.signal')).toHaveLength(500);
  });

  it('is named by its package where nothing else names it', async () => {
    const { path, cwd, dataDir } = program('app.mjs', EMIT);
    writeFileSync(join(cwd, 'package.json'), JSON.stringify({ name: 'momentum-bot' }));
    await runBot(path, [], { dataDir, cwd, env: { OTEL_SERVICE_NAME: '' } });
    expect((await readTrail(dataDir))[0]?.service).toBe('momentum-bot');
  });

  it.each(['json', 'ts', 'js'])('takes its settings from risktrail.config.%s', async (kind) => {
    const { path, cwd, dataDir } = program('app.mjs', EMIT);
    writeFileSync(join(cwd, 'package.json'), '{"type":"module"}');
    const settings = `{ "environment": "paper" }`;
    writeFileSync(join(cwd, `risktrail.config.${kind}`), kind === 'json' ? settings : `export default ${settings}`);
    expect(await runBot(path, [], { dataDir, cwd })).toMatchObject({ code: 0, err: '' });
    const [start] = (await readTrail(dataDir)).filter(({ event }) => event === 'system.start');
    expect(start?.['system.config']).toMatchObject({ environment: 'paper' });
  });
});

describe('a wrong setting', () => {
  it('stops the process at once with one line that names the nearest right key', async () => {
    const { path, cwd, dataDir } = program('app.mjs', `console.log('ran')`);
    writeFileSync(join(cwd, 'risktrail.config.json'), '{ "enviroment": "paper" }');
    const result = await runBot(path, [], { dataDir, cwd });
    expect(result).toEqual({
      code: 3,
      signal: null,
      out: '',
      err: 'risktrail: risktrail.config.json: enviroment: unknown option (did you mean "environment"?)\n',
    });
    expect(existsSync(dataDir)).toBe(false);
  });

  it('lets the program run without risktrail, and says so once, where that is wished', async () => {
    const { path, cwd, dataDir } = program('app.mjs', `console.log('ran')`);
    const env = { RISKTRAIL_CHECKPOINT_RECORDS: 'many', RISKTRAIL_ON_ERROR: 'continue' };
    const result = await runBot(path, [], { dataDir, cwd, env });
    expect(result).toEqual({
      code: 0,
      signal: null,
      out: 'ran\n',
      err: 'risktrail: RISKTRAIL_CHECKPOINT_RECORDS: expected an integer ≥ 1, got "many"; the program runs without risktrail\n',
    });
    expect(existsSync(dataDir)).toBe(false);
  });
});

describe('switched off', () => {
  it.each(['RISKTRAIL_DISABLED', 'OTEL_SDK_DISABLED'])('by %s it leaves no trace', async (variable) => {
    const source = `console.log(globalThis[Symbol.for('risktrail.current')], process.listenerCount('SIGTERM'), process.listenerCount('exit'))`;
    const { path, cwd, dataDir } = program('app.mjs', source);
    const result = await runBot(path, [], { dataDir, cwd, env: { [variable]: 'true' } });
    expect(result).toEqual({ code: 0, signal: null, out: 'undefined 0 0\n', err: '' });
    expect(existsSync(dataDir)).toBe(false);
  });
});
