import { hash } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { AuditInput } from '../../src/audit/record/audit-input.ts';
import { auditForm } from '../../src/audit/record/canonical.ts';
import { RecordEncoder } from '../../src/audit/record/encode.ts';
import { type OtlpLogRecord, plainAttributes, visitRecords } from '../../src/audit/record/otlp.ts';

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

const PLAIN_INPUT: AuditInput = {
  eventName: 'order.placed',
  severityNumber: 9,
  severityText: 'INFO',
  body: 'Order placed',
  timeUnixNano: '1763690000000000000',
  attributes: {},
};

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

  it('writes numbers of any size and precision as ECMAScript does', () => {
    const numberEncoder = encoder();
    const decimal = fc
      .tuple(fc.integer({ min: -999_999_999, max: 999_999_999 }), fc.integer({ min: 0, max: 999_999 }), fc.nat(7))
      .map(([whole, millionths, decimals]) => Number((whole + millionths / 1e6).toFixed(decimals)));
    const near = fc
      .tuple(decimal, fc.constantFrom(-Number.EPSILON, 0, Number.EPSILON))
      .map(([value, off]) => value + value * off);
    const numbers = fc.oneof(
      fc.integer(),
      decimal,
      near,
      fc.double({ noNaN: true, noDefaultInfinity: true }),
      fc.maxSafeInteger(),
    );
    const edges = [
      0,
      -0,
      2 ** 31 - 1,
      -(2 ** 31),
      2 ** 31,
      1_000_000_000,
      -1_000_000_000,
      1e-6,
      1e-7,
      5e-7,
      999_999_999.999999,
      1e9,
      1e15,
      1e21,
      2 ** 53,
      0.1 + 0.2,
      -0.000001,
      123.45,
    ];
    const check = (value: number) => {
      const encoded = numberEncoder.encode({ ...PLAIN_INPUT, attributes: { l: [value, 'x', value], n: value } }, 1);
      expect(encoded.canonical).toContain(`"l":[${String(value)},"x",${String(value)}],"n":${String(value)}}`);
      const expected = Number.isSafeInteger(value) ? `{"intValue":${value}}` : `{"doubleValue":${value}}`;
      expect(encoded.line.toString('utf8', 0, encoded.lineBytes)).toContain(`{"key":"n","value":${expected}}`);
    };
    for (const value of edges) check(value);
    fc.assert(fc.property(numbers, check), { numRuns: 5000, seed: 6 });
  });

  it('writes the same record whatever it wrote before, when values come again and change', () => {
    const lists = [Object.freeze(['a', 'b']), Object.freeze([1, 2.5]), ['a', 'b'], [1, 2.5], Object.freeze([{ x: 1 }])];
    const any = fc.constantFrom<unknown>('AAPL', 'MSFT', 'é"\\', 0.25, 0, -0, 1e21, true, false, '', ...lists);
    // Most repeat: only then are texts put together and copied whole.
    const value = fc.oneof({ weight: 6, arbitrary: fc.constant<unknown>('AAPL') }, { weight: 1, arbitrary: any });
    const records = fc.array(fc.record({ 'a.one': value, b: value, 'c.three': value }), {
      minLength: 1,
      maxLength: 30,
    });
    fc.assert(
      fc.property(records, (all) => {
        const used = encoder();
        for (const [sequence, attributes] of all.entries()) {
          const input = { ...PLAIN_INPUT, attributes: { ...attributes, 'audit.record.id': 'id-1' } };
          const expected = encoder().encode(input, sequence);
          const made = used.encode(input, sequence);
          expect(made.canonical).toBe(expected.canonical);
          expect(made.leaf).toEqual(expected.leaf);
          expect(made.line.toString('utf8', 0, made.lineBytes)).toBe(
            expected.line.toString('utf8', 0, expected.lineBytes),
          );
        }
      }),
      { numRuns: 500, seed: 7 },
    );
  });

  it('sees what was changed in a list that it was given before', () => {
    const used = encoder();
    const list = [1, 2];
    for (const last of [2, 2, 3]) {
      list[1] = last;
      const made = used.encode({ ...PLAIN_INPUT, attributes: { list } }, 1);
      expect(made.canonical).toContain(`"list":[1,${last}]`);
    }
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
