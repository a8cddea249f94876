/** Every TypeScript, JavaScript and CommonJS block of README.md and docs/ compiles against the built package, and runs. */
import { execFile } from 'node:child_process';
import {
  chmodSync,
  cpSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join, resolve } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

const ROOT = resolve(import.meta.dirname, '../..');
const TSC = join(ROOT, 'node_modules/typescript/bin/tsc');
const PAGES = [
  'README.md',
  ...readdirSync(join(ROOT, 'docs'))
    .filter((name) => name.endsWith('.md'))
    .map((name) => `docs/${name}`),
];
const run = promisify(execFile);

interface Snippet {
  readonly name: string;
  readonly kind: 'ts' | 'js' | 'cjs';
  readonly code: string;
  /** What its comments say is printed: `console.log(…); // 133 333 CAPPED`. */
  readonly promised: readonly string[];
}

function snippetsOf(page: string): Snippet[] {
  const text = readFileSync(join(ROOT, page), 'utf8');
  return [...text.matchAll(/^```(ts|js|cjs)\n([\s\S]*?)^```$/gm)].map((match, index) => ({
    name: `${basename(page, '.md').toLowerCase()}-${index + 1}`,
    kind: match[1] as Snippet['kind'],
    code: match[2]!,
    promised: [...match[2]!.matchAll(/^ *console\.log\(.*\); \/\/ ([^:\n]+)/gm)].map((one) => one[1]!.trim()),
  }));
}

const SNIPPETS = PAGES.flatMap(snippetsOf);
/** A server must run for it: it compiles, and test/integration/serve-api.test.ts runs the page's examples. */
const needsServer = (code: string) => code.includes('http://127.0.0.1:7117');
const startsItsOwn = (code: string) => code.includes('startRiskTrail(');

let home: string;

async function compile(project: object): Promise<void> {
  const path = join(home, 'tsconfig.json');
  writeFileSync(path, JSON.stringify(project));
  try {
    await run(process.execPath, [TSC, '-p', path]);
  } catch (error) {
    throw new Error((error as { stdout?: string }).stdout ?? String(error));
  }
}

beforeAll(async () => {
  home = mkdtempSync(join(tmpdir(), 'risktrail-docs-'));
  const installed = join(home, 'node_modules/risktrail');
  mkdirSync(installed, { recursive: true });
  cpSync(join(ROOT, 'package.json'), join(installed, 'package.json'));
  for (const [from, to] of [
    ['.', 'risktrail/node_modules'],
    ['@opentelemetry', '@opentelemetry'],
    ['@types', '@types'],
  ] as const) {
    symlinkSync(join(ROOT, 'node_modules', from), join(home, 'node_modules', to));
  }
  await run(process.execPath, [TSC, '-p', join(ROOT, 'tsconfig.build.json'), '--outDir', join(installed, 'dist')]);
  chmodSync(join(installed, 'dist/cli/main.js'), 0o755);

  writeFileSync(join(home, 'package.json'), '{"type":"module"}');
  const prelude = readFileSync(join(ROOT, 'test/support/docs-prelude.ts'), 'utf8');
  writeFileSync(join(home, 'prelude.ts'), prelude.replace("'../../src/index.ts'", "'risktrail'"));
  writeFileSync(
    join(home, 'started.ts'),
    `import { startRiskTrail } from 'risktrail';
    globalThis.trail = await startRiskTrail({ serviceName: 'docs', dataDir: './data-of-' + process.argv[1]!.split('/').at(-1) });`,
  );
  for (const { name, kind, code } of SNIPPETS) {
    const head = `import './prelude.js';${startsItsOwn(code) ? '' : "import './started.js';"} export {};\n`;
    writeFileSync(join(home, `${name}.${kind}`), kind === 'cjs' ? code : head + code);
  }
  await compile({
    compilerOptions: {
      ...{ target: 'es2024', lib: ['es2024', 'esnext.disposable'], module: 'nodenext', types: ['node'] },
      ...{ strict: true, noUncheckedIndexedAccess: true, exactOptionalPropertyTypes: true, skipLibCheck: true },
    },
    include: ['*.ts'],
  });
});

afterAll(() => rmSync(home, { recursive: true, force: true }));

describe('snippets of the documentation', () => {
  it('are there', () => {
    expect(SNIPPETS.length).toBeGreaterThan(15);
  });

  it.concurrent.each(SNIPPETS.filter(({ code }) => !needsServer(code)))(
    '$name runs and prints what its comments say',
    async ({ name, kind, promised }) => {
      const cwd = join(home, `run-${name}`);
      mkdirSync(cwd);
      writeFileSync(join(cwd, 'alerts.yaml'), 'rules:\n  errors_per_hour: { threshold: 25 }\n');
      const { stdout, stderr } = await run(process.execPath, [join(home, `${name}.${kind === 'ts' ? 'js' : kind}`)], {
        cwd,
        env: {
          PATH: process.env['PATH'],
          OTEL_TRACES_EXPORTER: 'none',
          OTEL_METRICS_EXPORTER: 'none',
          OTEL_LOGS_EXPORTER: 'none',
        },
      });
      for (const line of promised) expect(stdout).toContain(line);
      // The logger's own snippet writes lines there.
      expect(stderr.split('\n').filter((line) => line !== '' && !line.startsWith('{'))).toEqual([]);
    },
  );
});
