import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { compareRestarts } from '../../scripts/compare-restart.ts';

it('docs/restart.md shows what the three circuit breakers do after a restart, as a run gives it', async () => {
  const page = readFileSync(join(import.meta.dirname, '../../docs/restart.md'), 'utf8');
  const table = /<!-- compare-restart -->\n([\s\S]*)<!-- \/compare-restart -->/.exec(page)?.[1];
  const run = await compareRestarts();
  expect(table).toBe(run);
  // What the page claims of ours.
  const ours = run
    .trim()
    .split('\n')
    .slice(2)
    .map((row) => row.split(' | ').at(-1)!.replace(' |', ''));
  expect(ours).toEqual([
    'open: one call after 10 s',
    'open: one call after 10 s',
    'half-open: one call at once',
    'half-open: one call at once',
    'open: no call in a day',
    'open: one call after 30 s',
    'half-open: one call at once',
  ]);
}, 300_000);
