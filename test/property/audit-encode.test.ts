import { hash } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { AuditInput } from '../../src/audit/audit-input.ts';
import { auditForm } from '../../src/audit/canonical.ts';
import { RecordEncoder } from '../../src/audit/encode.ts';
import { type OtlpLogRecord, plainAttributes, visitRecords } from '../../src/audit/otlp.ts';

const STREAM = 'svc/0193f6a0-1111-7aaa-8bbb-123456789abc';
const encoder = () =>
  new RecordEncoder({
    stream: STREAM,
    resource: { 'service.name': 'svc' },
    scope: { name: 'risktrail', version: '1' },
  });

/** RFC 8785 written the plain way, for values that JSON has. */
function jcs(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(jcs).join(',')}]`;
  if (typeof value === 'object' && value !== null) {
    const members = Object.keys(value).sort();
    return `{${members.map((key) => `${JSON.stringify(key)}:${jcs((value as Record<string, unknown>)[key])}`).join(',')}}`;
  }
  return JSON.stringify(value);
}

function readBack(line: string): OtlpLogRecord {
  const records: OtlpLogRecord[] = [];
  expect(visitRecords(line, (record) => records.push(record))).toBe(true);
  expect(records).toHaveLength(1);
  return records[0]!;
}

const text = fc.oneof(
  fc.string({ unit: 'binary', maxLength: 20 }),
  fc.string({ maxLength: 120 }),
  // Halves of surrogate pairs, control characters, quotes.
  fc.array(fc.integer({ min: 0, max: 0xffff }), { maxLength: 12 }).map((units) => String.fromCharCode(...units)),
  fc.constantFrom(
    '__proto__',
    'toString',
    '',
    'audit.stream',
    'audit.coerced',
    'audit.record.id',
    '\u2028',
    '😀',
    '\ud800',
  ),
);

const anything = fc.anything({
  key: text,
  values: [
    text,
    fc.double(),
    fc.integer(),
    fc.boolean(),
    fc.maxSafeInteger(),
    fc.constantFrom(-0, 1e21, 2 ** 53, 5e-324),
  ],
  maxDepth: 4,
  withBigInt: true,
  withBoxedValues: true,
  withDate: true,
  withMap: true,
  withSet: true,
  withNullPrototype: true,
  withSparseArray: true,
  withTypedArray: true,
});

const anyInput: fc.Arbitrary<AuditInput> = fc.record(
  {
    eventName: text,
    severityNumber: fc.oneof(fc.integer({ min: -1, max: 30 }), fc.double()),
    severityText: text,
    body: text,
    timeUnixNano: fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }).map(String),
    observedTimeUnixNano: fc.oneof(fc.constant('1700000000000000000'), text),
    traceId: fc.oneof(fc.constantFrom('0'.repeat(32), 'AB'.repeat(16), '12'.repeat(16)), text),
    spanId: fc.oneof(fc.constantFrom('0'.repeat(16), 'AB'.repeat(8)), text),
    flags: fc.oneof(fc.integer(), fc.double()),
    attributes: fc.dictionary(text, anything, { maxKeys: 8, noNullPrototype: false }),
    coerced: fc.array(text, { maxLength: 2 }),
  },
  {
    requiredKeys: ['eventName', 'severityNumber', 'severityText', 'body', 'timeUnixNano', 'attributes'],
  },
);

const plainText = fc.string({ unit: 'binary', maxLength: 40 }).filter((one) => one.isWellFormed());
const plainValue = fc.letrec((tie) => ({
  value: fc.oneof(
    { maxDepth: 4 },
    plainText,
    fc.double({ noNaN: true, noDefaultInfinity: true }),
    fc.maxSafeInteger(),
    fc.boolean(),
    fc.array(tie('value'), { maxLength: 4 }),
    fc.dictionary(plainText, tie('value'), { maxKeys: 4, noNullPrototype: true }),
  ),
})).value;

describe('the record encoder', () => {
  it('writes a line from which a reader gets exactly the canonical text that was hashed, for any input', () => {
    const shared = encoder();
    fc.assert(
      fc.property(anyInput, fc.nat(), (input, sequence) => {
        const made = shared.encode(input, sequence);
        const line = made.line.toString('utf8', 0, made.lineBytes);
        expect(line.indexOf('\n')).toBe(line.length - 1);
        const form = auditForm(readBack(line));
        expect(form).toMatchObject({
          stream: STREAM,
          sequence,
          claim: made.leaf.toString('base64'),
          text: made.canonical,
          defect: undefined,
        });
        expect(made.leaf.toString('hex')).toBe(hash('sha256', `\0${made.canonical}`, 'hex'));
      }),
      { numRuns: 2000 },
    );
  });

  it('hashes what a plain RFC 8785 serialisation gives, for values that need no change', () => {
    const shared = encoder();
    const attributes = fc.dictionary(
      plainText.filter((key) => !key.startsWith('audit.')),
      plainValue,
      { maxKeys: 8, noNullPrototype: true },
    );
    fc.assert(
      fc.property(attributes, plainText, fc.nat(), (given, body, sequence) => {
        const made = shared.encode(
          { eventName: 'a.b', severityNumber: 9, severityText: 'INFO', body, timeUnixNano: '17', attributes: given },
          sequence,
        );
        const own = {
          'audit.record.id': made.recordId,
          'audit.sequence.number': sequence,
          'audit.stream': STREAM,
        };
        const expected = {
          attributes: Object.assign(Object.create(null), given, own),
          body,
          event: 'a.b',
          severity: 9,
          span: '',
          time: '17',
          trace: '',
        };
        expect(made.canonical).toBe(jcs(expected));
        const line = made.line.toString('utf8', 0, made.lineBytes);
        const read = plainAttributes(readBack(line).attributes);
        expect(jcs({ ...read })).toBe(
          jcs({ ...expected.attributes, 'audit.integrity.value': made.leaf.toString('base64') }),
        );
      }),
      { numRuns: 2000 },
    );
  });
});
