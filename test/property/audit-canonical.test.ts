import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { auditForm } from '../../src/audit/record/canonical.ts';
import { type OtlpLogRecord, visitRecords } from '../../src/audit/record/otlp.ts';

type Plain = string | number | boolean | Plain[] | { [key: string]: Plain };

const text = fc.string({ unit: 'grapheme', maxLength: 12 });
const number = fc.oneof(fc.maxSafeInteger(), fc.double({ noNaN: true, noDefaultInfinity: true }));
const { value } = fc.letrec<{ value: Plain }>((tie) => ({
  value: fc.oneof(
    { maxDepth: 3 },
    text,
    number,
    fc.boolean(),
    fc.array(tie('value'), { maxLength: 4 }),
    fc.dictionary(text, tie('value'), { maxKeys: 4, noNullPrototype: true }),
  ),
}));

/** RFC 8785 for values that are fit already. */
function canonicalJson(plain: Plain): string {
  if (Array.isArray(plain)) return `[${plain.map(canonicalJson).join(',')}]`;
  if (typeof plain !== 'object') return JSON.stringify(plain);
  const keys = Object.keys(plain).sort();
  return `{${keys.map((key) => `${JSON.stringify(key)}:${canonicalJson(plain[key] as Plain)}`).join(',')}}`;
}

/** An AnyValue, ints in any of their spellings. */
function encode(plain: Plain, spelling: number): unknown {
  if (typeof plain === 'string') return { stringValue: plain };
  if (typeof plain === 'boolean') return { boolValue: plain };
  if (Array.isArray(plain)) return { arrayValue: { values: plain.map((item) => encode(item, spelling)) } };
  if (typeof plain === 'object') return { kvlistValue: { values: encodeAll(plain, spelling) } };
  if (!Number.isSafeInteger(plain) || Object.is(plain, -0)) return { doubleValue: plain };
  return [{ intValue: plain }, { intValue: `${plain}` }, { doubleValue: plain }][spelling % 3];
}

function encodeAll(values: { [key: string]: Plain }, spelling: number): unknown[] {
  return Object.entries(values).map(([key, item], index) => ({ key, value: encode(item, spelling + index) }));
}

const attributes = fc.dictionary(
  text.map((key) => `x.${key}`),
  value,
  { maxKeys: 6, noNullPrototype: true },
);

describe('the canonical form', () => {
  it('is RFC 8785 of the values, however they are encoded, spelled and ordered', () => {
    fc.assert(
      fc.property(attributes, text, text, fc.nat(), fc.boolean(), (own, body, event, spelling, reversed) => {
        const all: { [key: string]: Plain } = { ...own, 'audit.stream': 's', 'audit.sequence.number': 3 };
        const pairs = [{ key: 'audit.integrity.value', value: { stringValue: 'claim' } }, ...encodeAll(all, spelling)];
        if (reversed) pairs.reverse();
        const record = { attributes: pairs, body: { stringValue: body }, eventName: event, timeUnixNano: '5' };
        const line = JSON.stringify({ resourceLogs: [{ scopeLogs: [{ logRecords: [record] }] }] });
        const forms: ReturnType<typeof auditForm>[] = [];
        expect(visitRecords(line, (one) => forms.push(auditForm(one)))).toBe(true);
        expect(forms[0]).toMatchObject({ stream: 's', sequence: 3, claim: 'claim', defect: undefined });
        expect(forms[0]?.text).toBe(
          `{"attributes":${canonicalJson(all)},"body":${JSON.stringify(body)},"event":${JSON.stringify(event)},"severity":0,"span":"","time":"5","trace":""}`,
        );
      }),
      { numRuns: 300 },
    );
  });
});

describe('lines', () => {
  /** A line's records as they are, by plain JSON.parse. */
  const plainly = (line: string): OtlpLogRecord[] | undefined => {
    try {
      const payload = JSON.parse(line) as {
        resourceLogs: { scopeLogs: { logRecords: OtlpLogRecord[] }[] }[];
      };
      return payload.resourceLogs.flatMap(({ scopeLogs }) => scopeLogs.flatMap(({ logRecords }) => logRecords));
    } catch {
      return undefined;
    }
  };
  const heads = [
    '{"resourceLogs":[{"scopeLogs":[{"logRecords":[',
    '{"resourceLogs":[{"resource":{"attributes":[{"key":"a","value":{"stringValue":"b"}}]},"scopeLogs":[{"logRecords":[',
    // Members whose names only look like the one that matters.
    '{"resourceLogs":[{"scopeLogs":[{"logRecords":[],"x\\"logRecords":[',
    '{"x":[{"y":[{"logRecords":[1]}]}],"resourceLogs":[{"scopeLogs":[{"logRecords":[',
    '{"x":[{"y":[{"logRecords":[',
    '{"resourceLogs":[{"scopeLogs":[{"logRecords":[]},{"logRecords":[',
    '{"resourceLogs":[{"scopeLogs":[{"logRecords":[{"eventName":"first"},',
  ];
  const middles = [
    '',
    '{"eventName":"a"}',
    '{"eventName":"b"}',
    '{"eventName":"a"},{"eventName":"b"}',
    '{"eventName":',
  ];

  it('are read alike, whatever lines were read before', () => {
    fc.assert(
      fc.property(
        fc.array(fc.tuple(fc.constantFrom(...heads), fc.constantFrom(...middles)), { maxLength: 12 }),
        (parts) => {
          for (const [head, middle] of parts) {
            const line = `${head}${middle}]}]}]}`;
            const read: OtlpLogRecord[] = [];
            const whole = visitRecords(line, (record) => read.push(record));
            const expected =
              head.startsWith('{"x":[{"y":[{"logRecords":[') && !head.includes('resourceLogs') ? [] : plainly(line);
            expect(whole, line).toBe(plainlyParses(line));
            if (whole) expect(read, line).toEqual(expected);
          }
        },
      ),
      { numRuns: 300 },
    );
  });

  function plainlyParses(line: string): boolean {
    try {
      JSON.parse(line);
      return true;
    } catch {
      return false;
    }
  }
});
