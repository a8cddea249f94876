import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { EVENTS } from '../../src/catalog/events.ts';
import { INSTRUMENTATIONS } from '../../src/instrumentation/index.ts';
import { ONLY_MAJOR } from '../support/previous-majors.ts';

const ROOT = join(import.meta.dirname, '../..');
const page = readFileSync(join(ROOT, 'docs/instrumentations.md'), 'utf8');

/** The rows of the table: library, tested versions, events. */
const rows = [...page.matchAll(/^\| `(\w+)` \| ([^|]+) \| ([^|]+) \| [^|]+ \|$/gm)].map(
  ([, library, version, recorded]) => ({
    library: library!,
    version: version!.trim(),
    events: [...recorded!.matchAll(/`([^`@]+)`/g)].map(([, name]) => name!),
    spans: [...recorded!.matchAll(/`(@[^`]+)`/g)].map(([, name]) => name!),
  }),
);

/** The tests of instrumentations, and what they compare with. */
const tested = [
  ...readdirSync(join(ROOT, 'test/integration/instrumentation'), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name)),
  join(ROOT, 'test/unit/instrumentation-ccxt.test.ts'),
]
  .map((path) => readFileSync(path, 'utf8'))
  .join('\n');

/** Packages of which the instrumentation has a shorter name. */
const PACKAGES: Readonly<Record<string, string>> = {
  ...{ alpaca: '@alpacahq/alpaca-trade-api', bybit: 'bybit-api', ib: '@stoqey/ib' },
};

const dependenciesOf = (path: string): Readonly<Record<string, string | undefined>> => {
  const read = JSON.parse(readFileSync(join(ROOT, path), 'utf8')) as Record<string, Record<string, string> | undefined>;
  return { ...read['dependencies'], ...read['devDependencies'] };
};
const current = dependenciesOf('package.json');
const previous = dependenciesOf('test/previous-majors/package.json');

/** The versions that the tests run with: the current one, and where there is one the previous. */
function testedVersions(named: string): string {
  if (named === 'console' || named === 'http') return 'Node 24';
  const library = PACKAGES[named] ?? named;
  // Both of one library stand in that package.
  const newest = current[library] ?? previous[`${library}-current`]?.replace(`npm:${library}@`, '');
  return [newest, previous[library]].filter((version) => version !== undefined).join(' and ');
}

describe('the table of instrumentations', () => {
  it('has a row for each', () => {
    expect(rows.map(({ library }) => library).sort()).toEqual([...INSTRUMENTATIONS].sort());
  });

  it.each(rows)('names the versions of $library that the tests run with', ({ library, version }) => {
    expect(version).toMatch(/\d/);
    expect(version).toBe(testedVersions(library));
    const oldOnly = (PACKAGES[library] ?? library) in previous || ONLY_MAJOR.includes(library);
    expect(oldOnly || version === 'Node 24').toBe(true);
  });

  it.each(['express', 'fastify'])('names the versions of %s', (library) => {
    const row = page.split('\n').find((line) => line.startsWith('| `http` |'))!;
    expect(row).toContain(`${library[0]!.toUpperCase()}${library.slice(1)} (${testedVersions(library)})`);
  });

  it.each(rows.filter(({ spans }) => spans.length > 0))(
    'names the package that makes the spans of $library',
    ({ library, spans }) => {
      expect(spans).toEqual([`@opentelemetry/instrumentation-${library}`]);
      expect(current[spans[0]!]).toBeDefined();
    },
  );

  it.each(rows.filter(({ events }) => events.length > 0))(
    'names events of $library that tests see',
    ({ library, events }) => {
      expect(events.filter((name) => !Object.hasOwn(EVENTS, name))).toEqual([]);
      const isBreaker = library === 'opossum' || library === 'cockatiel';
      const short = (name: string) => name.replace(/^risk\.circuit_breaker\.(?=failure|success|not_permitted)/, '');
      expect(events.filter((name) => !tested.includes(isBreaker ? short(name) : name))).toEqual([]);
    },
  );

  it('names every event that the goldens of ccxt hold', () => {
    const folder = join(ROOT, 'test/integration/instrumentation/goldens');
    const seen = readdirSync(folder).flatMap((name) =>
      (JSON.parse(readFileSync(join(folder, name), 'utf8')) as { event: string }[]).map(({ event }) => event),
    );
    const listed = rows.find(({ library }) => library === 'ccxt')!.events;
    expect([...new Set(seen)].filter((name) => !listed.includes(name))).toEqual([]);
  });
});
