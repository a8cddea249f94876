import { readdirSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { EVENTS } from '../../src/catalog/events.ts';
import { INSTRUMENTATIONS } from '../../src/instrumentation/index.ts';

const ROOT = join(import.meta.dirname, '../..');
const require = createRequire(import.meta.url);
const page = readFileSync(join(ROOT, 'docs/instrumentations.md'), 'utf8');

/** The rows of the table: library, tested version, events. */
const rows = [...page.matchAll(/^\| `(\w+)` \| ([^|]+) \| ([^|]+) \| [^|]+ \|$/gm)].map(
  ([, library, version, recorded]) => ({
    library: library!,
    version: version!.trim(),
    events: [...recorded!.matchAll(/`([^`]+)`/g)].map(([, name]) => name!),
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

function installedVersion(named: string): string {
  const library = PACKAGES[named] ?? named;
  if (library === 'console' || library === 'http') return 'Node 24';
  // Not all packages export it.
  const path = require.resolve.paths(library)!.map((folder) => join(folder, library, 'package.json'));
  for (const one of path) {
    try {
      return (JSON.parse(readFileSync(one, 'utf8')) as { version: string }).version;
    } catch {
      // In the next folder.
    }
  }
  throw new Error(`${library} is not installed`);
}

describe('the table of instrumentations', () => {
  it('has a row for each', () => {
    expect(rows.map(({ library }) => library).sort()).toEqual([...INSTRUMENTATIONS].sort());
  });

  it.each(rows)('names the version of $library that the tests run with', ({ library, version }) => {
    expect(version).toBe(installedVersion(library));
  });

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
