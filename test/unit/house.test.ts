import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, relative, resolve, sep } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const SOURCE = join(ROOT, 'src');

/** Room → the rooms that it may import from, besides itself. The map in the README, written out. */
const MAY_IMPORT: Readonly<Record<string, readonly string[]>> = (() => {
  const catalog = ['core'];
  const middle = [...catalog, 'catalog'];
  const telemetry = [...middle, 'risk', 'audit', 'alerting'];
  const state = [...middle, 'risk', 'audit'];
  const instrumentation = [...telemetry, 'telemetry'];
  const runtime = [...instrumentation, 'instrumentation', 'state'];
  const analysis = [...telemetry, 'state'];
  const server = [...analysis, 'analysis'];
  const demo = [...runtime, 'runtime', 'analysis', 'server'];
  return {
    core: [],
    catalog,
    ...{ risk: middle, audit: middle, alerting: middle },
    state,
    telemetry,
    instrumentation,
    runtime,
    analysis,
    server,
    demo,
    cli: [...demo, 'demo'],
  };
})();
const ROOMS = Object.keys(MAY_IMPORT);
/** Rooms that know nothing of OpenTelemetry, and those that know its API only. */
const WITHOUT_OTEL = ['core', 'catalog', 'risk', 'audit', 'alerting', 'state', 'analysis', 'server'];
const API_ONLY = ['instrumentation', 'runtime', 'demo'];

interface Source {
  /** `runtime/start.ts` */
  readonly name: string;
  readonly room: string;
  readonly text: string;
  /** The same without comments. */
  readonly code: string;
  readonly imports: readonly string[];
}

const IMPORT =
  /(?:^|\n)\s*(?:import|export)\b[^;'"]*?from\s+'([^']+)'|(?:^|\n)import\s+'([^']+)'|\bimport\(\s*'([^']+)'/g;

const SOURCES: readonly Source[] = readdirSync(SOURCE, { recursive: true })
  .map(String)
  .filter((name) => name.endsWith('.ts'))
  .map((name) => {
    const text = readFileSync(join(SOURCE, name), 'utf8');
    const code = text.replace(/\/\*[\s\S]*?\*\//g, '').replace(/^\s*\/\/.*$/gm, '');
    const imports = [...code.matchAll(IMPORT)].map((match) => match[1] ?? match[2] ?? match[3]!);
    return {
      name: name.replaceAll(sep, '/'),
      room: name.includes(sep) ? name.split(sep)[0]! : '',
      text,
      code,
      imports,
    };
  });

/** Where `pattern` stands in code, as `file: line`. */
function findInCode(pattern: RegExp, allowed: (name: string) => boolean): string[] {
  return SOURCES.filter(({ name }) => !allowed(name)).flatMap(({ name, code }) =>
    code
      .split('\n')
      .filter((line) => pattern.test(line))
      .map((line) => `${name}: ${line.trim()}`),
  );
}

describe('the rooms of src', () => {
  it('are all on the map', () => {
    const folders = readdirSync(SOURCE, { withFileTypes: true }).filter((entry) => entry.isDirectory());
    expect(folders.map(({ name }) => name).filter((name) => !ROOMS.includes(name))).toEqual([]);
    expect(SOURCES.length).toBeGreaterThan(100);
  });

  it('import in one direction', () => {
    const wrong = SOURCES.flatMap(({ name, room, imports }) =>
      imports.flatMap((specifier) => {
        if (room === '' || !specifier.startsWith('.')) return [];
        const target = relative(SOURCE, resolve(SOURCE, name, '..', specifier)).split(sep);
        const to = target.length > 1 ? target[0]! : '';
        // The version is a constant of the package.
        if (to === room || MAY_IMPORT[room]?.includes(to) || target[0] === 'version.ts') return [];
        return [`${name} imports ${specifier}`];
      }),
    );
    expect(wrong).toEqual([]);
    expect(SOURCES.flatMap(({ imports }) => imports).length).toBeGreaterThan(500);
  });

  it('leave OpenTelemetry’s SDK to telemetry', () => {
    const wrong = SOURCES.flatMap(({ name, room, imports }) =>
      imports
        .filter((specifier) => specifier.startsWith('@opentelemetry/'))
        .filter((specifier) =>
          specifier === '@opentelemetry/api' ? WITHOUT_OTEL.includes(room) : room !== 'telemetry',
        )
        .map((specifier) => `${name} imports ${specifier}`),
    );
    expect(wrong).toEqual([]);
  });

  it('are kept apart by the linter: every import that the map forbids is an error, and none that it allows', () => {
    const directory = mkdtempSync(join(tmpdir(), 'risktrail-house-'));
    try {
      const config = JSON.parse(readFileSync(join(ROOT, 'biome.json'), 'utf8'));
      delete config.vcs;
      delete config.$schema;
      writeFileSync(join(directory, 'biome.json'), JSON.stringify(config));
      const probe = (room: string, name: string, specifier: string) => {
        mkdirSync(join(directory, 'src', room, 'deep'), { recursive: true });
        writeFileSync(join(directory, 'src', room, 'deep', `${name}.ts`), `export * from '${specifier}';\n`);
      };
      const forbidden: string[] = [];
      for (const room of ROOMS) {
        for (const other of ROOMS) {
          if (other === room) continue;
          probe(room, `to-${other}`, `../../${other}/thing.ts`);
          if (!MAY_IMPORT[room]!.includes(other)) forbidden.push(`${room}/deep/to-${other}.ts`);
        }
        probe(room, 'to-api', '@opentelemetry/api');
        probe(room, 'to-sdk', '@opentelemetry/sdk-logs');
        if (WITHOUT_OTEL.includes(room)) forbidden.push(`${room}/deep/to-api.ts`);
        if (WITHOUT_OTEL.includes(room) || API_ONLY.includes(room)) forbidden.push(`${room}/deep/to-sdk.ts`);
      }
      const biome = join(ROOT, 'node_modules/@biomejs/biome/bin/biome');
      const args = ['lint', '--only=style/noRestrictedImports', '--reporter=json', '--max-diagnostics=none', 'src'];
      const { stdout } = spawnSync(process.execPath, [biome, ...args], { cwd: directory, encoding: 'utf8' });
      const { diagnostics } = JSON.parse(stdout) as {
        diagnostics: { category: string; severity: string; location: { path: string | { file: string } } }[];
      };
      const found = diagnostics
        .filter(({ category, severity }) => category === 'lint/style/noRestrictedImports' && severity === 'error')
        .map(({ location: { path } }) => (typeof path === 'string' ? path : path.file).replace(/^src\//, ''));
      expect([...new Set(found)].sort()).toEqual(forbidden.sort());
    } finally {
      rmSync(directory, { recursive: true, force: true });
    }
  });
});

describe('the code of src', () => {
  it('reads the machine’s clocks in core/clock.ts alone', () => {
    const clocks =
      /\bDate\.now\b|\bperformance\.now\b|\bnew Date\(\s*\)|\bDate\(\s*\)|\bprocess\.hrtime\b|\bprocess\.uptime\b/;
    expect(findInCode(clocks, (name) => name === 'core/clock.ts')).toEqual([]);
    expect(findInCode(clocks, () => false).length).toBeGreaterThan(0);
  });

  it('reads the environment in cli, runtime and register alone', () => {
    // The SDK always makes a logger provider of its own, unless a variable says otherwise in the moment of its start; and its
    // exporters, which are made late, are to find the variables of the start.
    const edge = (name: string) =>
      /^(cli|runtime)\/|^register(-require)?\.ts$|^telemetry\/(sdk|lazy-exporter)\.ts$/.test(name);
    expect(findInCode(/\bprocess\.env\b|\benv\b.*from 'node:process'/, edge)).toEqual([]);
  });

  it('can be run by type stripping, and required: no decorators, no top-level await', () => {
    // Rules of a style sheet look like decorators.
    expect(findInCode(/^\s*@\w+(\(|\s|$)/, (name) => name === 'analysis/page/style.ts')).toEqual([]);
    expect(findInCode(/^(export\s+)?((const|let)\s[^=]*=\s*)?await\b|^for await\b/, () => false)).toEqual([]);
  });

  it('is in files of kebab-case names', () => {
    const names = SOURCES.flatMap(({ name }) => name.split('/'));
    expect(names.filter((name) => !/^[a-z0-9]+(-[a-z0-9]+)*(\.ts)?$/.test(name))).toEqual([]);
  });

  it('says in the first lines of each file what it is for', () => {
    const told = (text: string) => text.slice(0, 1000).includes('/**');
    expect(SOURCES.filter(({ text }) => !told(text)).map(({ name }) => name)).toEqual([]);
  });
});
