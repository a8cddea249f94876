/**
 * The servers of `docker-compose.yml` without Docker, on the loopback interface: Collector and Loki, found or built once, and
 * Tempo and Grafana where `TEMPO_BIN` and `GRAFANA_BIN` name their programs. They run until Ctrl-C, and end with this process
 * however that ends.
 *
 *     npm run stack [-- --usual-ports] [--dir DIRECTORY]
 *
 * `--usual-ports` takes 4318, 3100, 3200 and 3000 instead of free ports; `--dir` keeps what the servers write.
 * `RISKTRAIL_REQUIRE_STACK=1` makes a server that is not at hand an error.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { startStack } from '../test/support/stack-all.ts';

const { values } = parseArgs({ options: { 'usual-ports': { type: 'boolean' }, dir: { type: 'string' } } });

const told = Promise.withResolvers<void>();
let ready = false;
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
  process.on(signal, () => {
    // Servers that are still starting end with this process.
    if (!ready) process.exit(1);
    told.resolve();
  });
}

const directory = values.dir === undefined ? mkdtempSync(join(tmpdir(), 'risktrail-stack-')) : resolve(values.dir);
try {
  await using stack = await startStack({
    directory,
    usualPorts: values['usual-ports'] === true,
    required: process.env['RISKTRAIL_REQUIRE_STACK'] === '1',
  });
  ready = true;
  for (const reason of stack.skipped) console.log(`# ${reason}`);
  const { otlp, loki, tempo, grafana } = stack.urls;
  console.log(`# audit files and logs: ${directory}`);
  console.log(`export OTEL_EXPORTER_OTLP_ENDPOINT=${otlp}`);
  console.log(`export LOKI_URL=${loki}`);
  if (tempo !== undefined) console.log(`export TEMPO_URL=${tempo}`);
  if (grafana !== undefined) console.log(`export GRAFANA_URL=${grafana}`);
  console.log(`# npm run demo -- --live --otlp ${otlp}`);
  console.log('# ready; Ctrl-C stops everything');
  const ended = await Promise.race([told.promise, stack.ended()]);
  if (ended !== undefined) {
    console.error(`${ended} ended by itself: ${join(directory, `${ended.toLowerCase()}.log`)} says why`);
    process.exitCode = 1;
  }
} catch (error) {
  console.error(error instanceof Error ? error.message : error);
  process.exitCode = 1;
} finally {
  // A log that says why something ended is worth keeping.
  if (values.dir === undefined && !process.exitCode) rmSync(directory, { recursive: true, force: true });
}
process.exit();
