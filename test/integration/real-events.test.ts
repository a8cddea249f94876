import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { Ajv2020, type ValidateFunction } from 'ajv/dist/2020.js';
import { afterEach, beforeEach, expect, it } from 'vitest';
import type { FlatRecord } from '../../src/analysis/flat-record.ts';
import { queryTrail } from '../../src/analysis/trail-query.ts';
import { ATTRIBUTES } from '../../src/catalog/attributes.ts';
import type { AttributeDefinition, EventDefinition } from '../../src/catalog/define.ts';
import { EVENTS } from '../../src/catalog/events.ts';
import { startRiskTrail } from '../../src/runtime/start.ts';

const SCHEMAS = resolve(import.meta.dirname, '../../schema');
const ajv = new Ajv2020({ strict: true, allowUnionTypes: true, allErrors: true });
const compile = (path: string): ValidateFunction => ajv.compile(JSON.parse(readFileSync(join(SCHEMAS, path), 'utf8')));

const EXAMPLES: Readonly<Record<AttributeDefinition['type'], unknown>> = {
  string: 'text',
  boolean: true,
  number: 0.5,
  int: 3,
  decimal: '100.50',
  strings: ['a'],
  numbers: [1.5],
  map: { free: { depth: 1 } },
};

let dataDir: string;
beforeEach(() => {
  dataDir = mkdtempSync(join(tmpdir(), 'risktrail-real-'));
});
afterEach(() => rmSync(dataDir, { recursive: true, force: true }));

it('every event that a trail records fits its published schema, and nothing of it is lost on the way to the flat shape', async () => {
  const trail = await startRiskTrail({ serviceName: 'schemas', dataDir, handleSignals: false });
  const emitted = new Map<string, Readonly<Record<string, unknown>>>();
  for (const [name, event] of Object.entries<EventDefinition>(EVENTS)) {
    // The trail's own life is told by itself.
    if (event.class !== 'audit' || name.startsWith('audit.')) continue;
    const attributes = Object.fromEntries(
      [...event.required, ...event.optional].map((one) => {
        const definition: AttributeDefinition = ATTRIBUTES[one as keyof typeof ATTRIBUTES];
        return [one, definition.values?.[0] ?? EXAMPLES[definition.type]];
      }),
    );
    emitted.set(name, attributes);
    trail.emit(name as 'order.placed', attributes as never);
  }
  await trail.close();

  const anyRecord = compile('event.json');
  const seen = new Set<string>();
  const records: FlatRecord[] = [];
  for await (const batch of queryTrail([dataDir])) records.push(...batch);
  for (const record of records) {
    const validate =
      ajv.getSchema(`urn:risktrail:schema:events:${record.event}`) ?? compile(`events/${record.event}.json`);
    expect(validate(record), `${record.event}: ${ajv.errorsText(validate.errors)}`).toBe(true);
    expect(anyRecord(record), `${record.event}: ${ajv.errorsText(anyRecord.errors)}`).toBe(true);
    const attributes = emitted.get(record.event!);
    if (attributes !== undefined && !seen.has(record.event!) && !record.event!.startsWith('system.')) {
      expect(record).toMatchObject(attributes);
    }
    seen.add(record.event!);
  }
  expect([...seen].sort()).toEqual(expect.arrayContaining([...emitted.keys()].sort()));
  expect(seen).toContain('audit.stream_opened');
  expect(seen).toContain('audit.checkpoint');
});
