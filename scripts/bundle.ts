/**
 * After `tsc`: puts the hundreds of files of `dist/` together into a few, since a program under the flag pays for each one that
 * is loaded at its start. What others name stays where it is: what the manifest exports, the command, what a thread runs, and
 * what is loaded by its path. Everything else goes into `dist/chunks/`, and with it the parts of OpenTelemetry's SDK that every
 * start uses, a hundred and more files of their own. Other packages stay outside, declarations as they are.
 *
 *     node scripts/bundle.ts [dist]
 */
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, isAbsolute, join, relative, resolve, sep } from 'node:path';
import { type Plugin, rolldown } from 'rolldown';

const DIST = resolve(process.argv[2] ?? 'dist');
/** The module that a start by the flag is. */
const START = 'runtime/start-by-flag';
const CHUNKS = 'chunks';
const META = 'import.meta.url';
/**
 * Nothing in them is held in common with other copies of theirs, but through `@opentelemetry/api`, which stays outside. `#` is
 * how they name files of their own.
 */
const INSIDE =
  /^(?:#|@opentelemetry\/(?:context-async-hooks|core|resources|sdk-logs|sdk-metrics|sdk-trace|semantic-conventions)(?:$|\/))/;

const files = readdirSync(DIST, { recursive: true, encoding: 'utf8' })
  .filter((name) => name.endsWith('.js'))
  .map((name) => name.split(sep).join('/'));
const sources = new Map(files.map((name) => [name.slice(0, -'.js'.length), readFileSync(join(DIST, name), 'utf8')]));

/** A module beside `from`, by its path in an import. */
const beside = (from: string, path: string): string => join(dirname(from), path).replace(/\.js$/, '');

function matches(source: string, pattern: RegExp): readonly string[] {
  return [...source.matchAll(pattern)].map((match) => match[1]!);
}

/** Paths in the manifest, without those of declarations. */
function named(value: unknown): readonly string[] {
  if (typeof value === 'string') return [value];
  return Object.entries(value as object).flatMap(([key, inner]) => (key === 'types' ? [] : named(inner)));
}

/** Modules that keep their place. */
function entries(): ReadonlySet<string> {
  const manifest = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8')) as {
    readonly exports: unknown;
    readonly bin: unknown;
  };
  const found = [...named(manifest.exports), ...named(manifest.bin)]
    .filter((path) => path.startsWith('./dist/') && path.endsWith('.js'))
    .map((path) => path.slice('./dist/'.length, -'.js'.length));
  for (const [name, source] of sources) {
    if (name.endsWith('-worker')) found.push(name);
    const loaded = matches(source, /\bloadNow\(import\.meta\.url, ['"](\.[^'"]+)['"]\)/g);
    found.push(...loaded.map((path) => beside(name, path)));
  }
  for (const name of found) if (!sources.has(name)) throw new Error(`${name}.js is named and not there`);
  return new Set(found);
}

/** What a module imports at once: modules of ours, and whether any of OpenTelemetry. */
function importsOf(name: string): { readonly own: readonly string[]; readonly telemetry: boolean } {
  const paths = matches(sources.get(name)!, /^(?:import|export)\b[^'"();]*['"]([^'"]+)['"];$/gm);
  return {
    own: paths.filter((path) => path.startsWith('.')).map((path) => beside(name, path)),
    telemetry: paths.some((path) => path.startsWith('@opentelemetry/')),
  };
}

/** The module and all that it loads at once, directly or not. */
function reach(name: string, seen = new Set<string>()): Set<string> {
  if (seen.has(name)) return seen;
  seen.add(name);
  for (const own of importsOf(name).own) reach(own, seen);
  return seen;
}

/** A file tells where it is by {@link META}: it goes on telling where it was. */
function keepPlaces(): Plugin {
  const MARK = '__risktrail_root__';
  return {
    name: 'keep-places',
    transform(code, id) {
      if (!code.includes('import.meta')) return null;
      const place = relative(DIST, id).split(sep).join('/');
      return code.replaceAll(META, `new URL("${MARK}/${place}", ${META}).href`);
    },
    renderChunk(code, chunk) {
      const root = relative(dirname(join(DIST, chunk.fileName)), DIST)
        .split(sep)
        .join('/');
      return code.replaceAll(MARK, root === '' ? '.' : root);
    },
  };
}

const kept = entries();
const atStart = [...reach(START)].filter((name) => !kept.has(name));
const isPlain = (name: string): boolean => [...reach(name)].every((one) => !importsOf(one).telemetry);
const inThreads = new Set([...kept].filter((name) => name.endsWith('-worker')).flatMap((name) => [...reach(name)]));
const inCommand = reach('cli/main');
/** Threads load some of the start's modules too, the command and the reports some more: none of them the rest with it. */
const GROUPS: Readonly<Record<string, (name: string) => boolean>> = {
  threads: (name) => inThreads.has(name),
  command: (name) => inCommand.has(name),
  plain: isPlain,
  start: () => true,
};
const groupOf = (name: string) => Object.keys(GROUPS).find((group) => GROUPS[group]!(name));
const groups = new Map(atStart.map((name) => [name, groupOf(name)]));
const nameOf = (id: string): string => relative(DIST, id).split(sep).join('/').replace(/\.js$/, '');

const bundle = await rolldown({
  input: Object.fromEntries([...kept].map((name) => [name, join(DIST, `${name}.js`)])),
  platform: 'node',
  external: (id) => !id.startsWith('.') && !isAbsolute(id) && !INSIDE.test(id),
  // Exporters that write to the console are loaded late, and come from packages that are there already.
  checks: { ineffectiveDynamicImport: false },
  plugins: [keepPlaces()],
  onLog(_, { message }) {
    throw new Error(message);
  },
});
const { output } = await bundle.generate({
  format: 'esm',
  comments: { legal: true, annotation: false, jsdoc: false },
  entryFileNames: '[name].js',
  chunkFileNames: `${CHUNKS}/[name]-[hash].js`,
  codeSplitting: {
    groups: Object.keys(GROUPS).map((name) => ({ name, test: (id) => groups.get(nameOf(id)) === name })),
  },
});
await bundle.close();
for (const name of files) rmSync(join(DIST, name));
for (const file of output) {
  if (file.type !== 'chunk') throw new Error(`${file.fileName} is no module`);
  mkdirSync(dirname(join(DIST, file.fileName)), { recursive: true });
  writeFileSync(join(DIST, file.fileName), file.code);
}
console.log(`${files.length} modules in ${output.length} files`);
