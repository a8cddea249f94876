import { Ajv2020 } from 'ajv/dist/2020.js';
import { describe, expect, it } from 'vitest';
import { schemaFiles } from '../../../scripts/docs/schemas.ts';
import { generatedFiles, laggingFiles } from '../../../scripts/generate-docs.ts';
import { toFlatRecord } from '../../../src/analysis/flat-record.ts';
import type { AuditRecord } from '../../../src/audit/read/reader.ts';
import type { PlainAttributes, PlainValue } from '../../../src/audit/record/otlp.ts';
import { ATTRIBUTES, COMMON_ATTRIBUTES } from '../../../src/catalog/attributes.ts';
import { type AttributeDefinition, type EventDefinition, SEVERITY_NUMBERS } from '../../../src/catalog/define.ts';
import { EVENTS } from '../../../src/catalog/events.ts';
import { ERRORS } from '../../../src/core/errors.ts';
import { SETTINGS } from '../../../src/runtime/settings-table.ts';

const EXAMPLES: Readonly<Record<AttributeDefinition['type'], PlainValue>> = {
  string: 'text',
  boolean: true,
  number: 0.5,
  int: 3,
  decimal: '100.50',
  strings: ['a', 'b'],
  numbers: [1, 2.5],
  map: { any: { depth: [1, null] } },
};
const WRONG: Readonly<Record<AttributeDefinition['type'], PlainValue>> = {
  string: 5,
  boolean: 'true',
  number: '0.5',
  int: 3.5,
  decimal: 'a lot',
  strings: 'a',
  numbers: ['1'],
  map: 'none',
};

const definitionOf = (name: string): AttributeDefinition =>
  (ATTRIBUTES as Readonly<Record<string, AttributeDefinition>>)[name]!;
const example = (name: string) => definitionOf(name).values?.[0] ?? EXAMPLES[definitionOf(name).type];

function record(name: string, event: EventDefinition, attributes: PlainAttributes): AuditRecord {
  return {
    stream: 'bot/9daa6223-bff6-4d4e-8c73-7bd8062153f2',
    sequence: 7,
    recordId: '019aa41e-9b29-7c01-ae33-26fef5febea5',
    integrity: 'lYA+mESSeq0vLuo9r+kRRHE2V/M1VzlTTg72SWOMelU=',
    time: '1763690060585712567',
    severityNumber: SEVERITY_NUMBERS[event.severity],
    severityText: event.severity,
    body: event.message,
    eventName: name,
    attributes,
    traceId: 'e7ca4dbb291be9ce8fa094b851c93ba4',
    spanId: '',
    resource: { 'service.name': 'bot' },
    file: 'f.jsonl',
    line: 1,
  };
}

describe('what is generated', () => {
  it('does not lag behind the code', () => {
    expect(laggingFiles()).toEqual([]);
  });

  it('names every event, attribute, error and setting', () => {
    const files = generatedFiles();
    for (const name of [...Object.keys(EVENTS), ...Object.keys(ATTRIBUTES)]) {
      expect(files.get('docs/events.md')).toContain(`\`${name}\``);
    }
    for (const code of Object.keys(ERRORS)) expect(files.get('docs/errors.md')).toContain(`| \`${code}\` |`);
    for (const key of Object.keys(SETTINGS)) expect(files.get('docs/settings.md')).toContain(`| \`${key}\` |`);
  });
});

describe('the JSON Schemas', () => {
  const ajv = new Ajv2020({ strict: true, allowUnionTypes: true, allErrors: true });
  const files = schemaFiles();
  const parsed = (path: string) => JSON.parse(files.get(path)!);
  const anyRecord = ajv.compile(parsed('schema/event.json'));

  it('are one for each event, and one for every record', () => {
    expect([...files.keys()].sort()).toEqual(
      ['schema/event.json', ...Object.keys(EVENTS).map((name) => `schema/events/${name}.json`)].sort(),
    );
  });

  describe.each(Object.entries<EventDefinition>(EVENTS))('%s', (name, event) => {
    const validate = ajv.compile(parsed(`schema/events/${name}.json`));
    const required = Object.fromEntries(event.required.map((one) => [one, example(one)]));
    const every = Object.fromEntries(
      [...event.required, ...event.optional, ...COMMON_ATTRIBUTES].map((one) => [one, example(one)]),
    );
    const flat = (attributes: PlainAttributes) => toFlatRecord(record(name, event, attributes));

    it('takes the event with its required attributes alone, and with all that it may have', () => {
      for (const attributes of [required, every]) {
        expect(validate(flat(attributes)), ajv.errorsText(validate.errors)).toBe(true);
        expect(anyRecord(flat(attributes)), ajv.errorsText(anyRecord.errors)).toBe(true);
      }
    });

    it('refuses a missing, a misspelt and a wrong attribute, and another event', () => {
      for (const one of event.required) {
        const { [one]: _, ...rest } = required;
        expect(validate(flat(rest)), `without ${one}`).toBe(false);
      }
      for (const one of Object.keys(every)) {
        expect(validate(flat({ ...every, [one]: WRONG[definitionOf(one).type] })), `wrong ${one}`).toBe(false);
        if (definitionOf(one).values !== undefined) {
          expect(validate(flat({ ...every, [one]: 'none of them' })), `other ${one}`).toBe(false);
        }
      }
      expect(validate(flat({ ...required, 'trading.symbl': 'AAPL' }))).toBe(false);
      expect(validate({ ...flat(required), event: 'some.other' })).toBe(false);
      expect(validate({ ...flat(required), timestamp: '2025-11-21T01:54:20Z' })).toBe(false);
    });
  });

  it('of every record takes a service’s own event, a plain log line, and attributes that are unknown', () => {
    const own = { ...record('acme.rebalanced', EVENTS['order.placed'], { 'acme.score': 1 }), severityNumber: 0 };
    const line = {
      ...own,
      eventName: '',
      stream: undefined,
      sequence: undefined,
      recordId: undefined,
      integrity: undefined,
    };
    for (const one of [own, line]) {
      expect(anyRecord(toFlatRecord(one)), ajv.errorsText(anyRecord.errors)).toBe(true);
    }
    const { body: _, ...withoutBody } = toFlatRecord(own);
    expect(anyRecord(withoutBody)).toBe(false);
  });
});
