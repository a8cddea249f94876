/**
 * Writes what follows from the routes of the REST server: the OpenAPI document and the TypeScript client. `--check` writes
 * nothing and exits 1 where one lags.
 *
 *     node scripts/generate-client.ts [--check]
 */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { createManualClock } from '../src/core/clock.ts';
import { createApp, type OpenApiDocument } from '../src/server/create-app.ts';
import { DEFAULT_LIMITS, ServerContext } from '../src/server/server-context.ts';
import { clientSource } from './client/client-source.ts';
import { laggingOf, updateFiles } from './docs/generated-files.ts';

const ROOT = resolve(import.meta.dirname, '..');

/** The OpenAPI document of the server as it is in the code. */
export async function openApiDocument(): Promise<OpenApiDocument> {
  const directory = mkdtempSync(join(tmpdir(), 'risktrail-openapi-'));
  const context = new ServerContext({
    paths: [directory],
    clock: createManualClock(0),
    limits: DEFAULT_LIMITS,
    verifyIntervalMs: 0,
    freshMs: 0,
  });
  try {
    const app = await createApp(context, {
      tokens: undefined,
      access: undefined,
      rules: [],
      isOwnHost: () => true,
      acts: { redact: (text) => text, signingKeyFile: undefined, onError: () => {} },
      onDefect: () => {},
    });
    const document = app.document();
    await app.fastify.close();
    return document;
  } finally {
    await context.close();
    rmSync(directory, { recursive: true, force: true });
  }
}

/** Every generated file: path below the root → content. */
export async function generatedFiles(): Promise<ReadonlyMap<string, string>> {
  const document = await openApiDocument();
  return new Map([
    ['schema/openapi.json', `${JSON.stringify(document, undefined, 1)}\n`],
    ['src/server/client.ts', formatted(clientSource(document))],
  ]);
}

/** As the formatter has it. */
function formatted(source: string): string {
  const biome = join(ROOT, 'node_modules/@biomejs/biome/bin/biome');
  const { status, stdout, stderr } = spawnSync(
    process.execPath,
    [biome, 'check', '--write', '--stdin-file-path=src/server/client.ts'],
    { cwd: ROOT, input: source, encoding: 'utf8' },
  );
  if (status !== 0 || stdout === '') throw new Error(`biome cannot format the client: ${stderr}`);
  return stdout;
}

async function main(args: readonly string[]): Promise<number> {
  const files = await generatedFiles();
  return updateFiles(ROOT, files, laggingOf(ROOT, files), {
    check: args.includes('--check'),
    command: 'node scripts/generate-client.ts',
  });
}

if (import.meta.main) {
  main(process.argv.slice(2)).then((status) => {
    process.exitCode = status;
  });
}
