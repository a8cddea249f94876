import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type AuditInput, RecordEncoder } from '../../src/audit/record/encode.ts';
import { type BlockDigest, BlockDigester } from '../../src/audit/verify/digest.ts';
import { LineScanner } from '../../src/audit/verify/line-scanner.ts';

const STREAM = 'bot/0b5f0e52-6b2a-4b6e-9d3c-2f0f9a7d1c11';
const RECORD_START = '"logRecords":[';

const encoder = new RecordEncoder({
  stream: STREAM,
  resource: { 'service.name': 'bot' },
  scope: { name: 'risktrail', version: '1' },
});

const text = fc.oneof(
  fc.string(),
  fc.string({ unit: 'grapheme' }),
  fc.constantFrom('', '"', '\\', 'é', '\u2028', '\u007f', '{"key":"', ']}]}]}', 'audit.stream'),
);
const number = fc.oneof(
  fc.integer(),
  fc.double({ noNaN: true, noDefaultInfinity: true }),
  fc.integer({ min: -1_000_000, max: 1_000_000 }).map((n) => n / 100),
  fc.constantFrom(0, -0, 0.1 + 0.2, 1e21, 1e-7, 0.000001, 2 ** 53 - 1, 123456789012345.6, 0.00000123, 5e-324, 100),
);
const key = fc.oneof(
  fc.constantFrom(
    'a',
    'trading.symbol',
    'trading.price',
    'zz',
    'audit.z',
    'audit.strea',
    'audit.stream2',
    'B',
    'ä',
    '',
  ),
  fc.string({ maxLength: 8 }),
);
const { value } = fc.letrec<{ value: unknown }>((tie) => ({
  value: fc.oneof(
    { depthSize: 'small', withCrossShrink: true },
    text,
    number,
    fc.boolean(),
    fc.array(tie('value'), { maxLength: 4 }),
    fc.dictionary(key, tie('value'), { maxKeys: 4 }),
  ),
}));
const input = fc.record({
  eventName: fc.constantFrom('order.placed', 'order.intent', '', 'audit.degraded', 'audit.stream_closed', 'ordér'),
  attributes: fc.dictionary(key, value, { maxKeys: 6 }),
  body: text,
  timeUnixNano: fc.constantFrom('1763690060000000000', '0', '18446744073709551615'),
  observedTimeUnixNano: fc.constantFrom(undefined, '1763690060000000001'),
  severityNumber: fc.constantFrom(0, 9, 17),
  severityText: fc.constantFrom('INFO', ''),
  traceId: fc.constantFrom(undefined, '0af7651916cd43dd8448eb211c80319c'),
  spanId: fc.constantFrom(undefined, 'b7ad6b7169203331'),
  flags: fc.constantFrom(undefined, 1),
});

type Json = Record<string, unknown>;

/** A value as a Collector writes it. */
function collectedValue(one: Json): Json {
  if (typeof one['intValue'] === 'number') return { intValue: String(one['intValue']) };
  const list = (one['arrayValue'] as { values: Json[] } | undefined)?.values;
  if (list !== undefined) return { arrayValue: { values: list.map(collectedValue) } };
  const map = (one['kvlistValue'] as { values: { key: string; value: Json }[] } | undefined)?.values;
  if (map === undefined) return one;
  return { kvlistValue: { values: map.map((pair) => ({ key: pair.key, value: collectedValue(pair.value) })) } };
}

/** A line of several records, in a Collector's words and order. */
function collected(lines: readonly string[]): string {
  const payloads = lines.map((line) => JSON.parse(line));
  const [payload] = payloads;
  payload.resourceLogs[0].scopeLogs[0].logRecords = payloads.map((one) => {
    const { eventName, attributes, ...rest } = one.resourceLogs[0].scopeLogs[0].logRecords[0];
    const pairs = attributes.map((pair: { key: string; value: Json }) => ({
      key: pair.key,
      value: collectedValue(pair.value),
    }));
    return { ...rest, attributes: pairs, traceId: rest.traceId ?? '', spanId: rest.spanId ?? '', eventName };
  });
  payload.resourceLogs[0].schemaUrl = 'https://opentelemetry.io/schemas/1.37.0';
  return `${JSON.stringify(payload)}\n`;
}

/** Everything that a digest says, in the order of the records. */
function essence(digest: BlockDigest): unknown {
  const { count, sequences, lines, streamAt, leaves, streams, specials, torn, lineCount } = digest;
  const plain = Array.from({ length: count }, (_, i) => [
    sequences[i],
    lines[i],
    streams[streamAt[i] as number],
    Buffer.from(leaves.subarray(32 * i, 32 * (i + 1))).toString('hex'),
  ]);
  return { plain, specials: structuredClone(specials), torn, lineCount };
}

const quick = new BlockDigester(true);
const general = new BlockDigester(false);

/** Both ways must come to the same; how many plain records that were. */
function compare(block: Buffer, cut = false): number {
  const expected = essence(general.digest({ bytes: block, cut })) as { plain: unknown[] };
  const known = new BlockDigester(true);
  // The quick way begins with the second line of a form, so each block goes through twice.
  expect(essence(known.digest({ bytes: block, cut }))).toEqual(expected);
  expect(essence(known.digest({ bytes: block, cut }))).toEqual(expected);
  expect(essence(quick.digest({ bytes: block, cut }))).toEqual(expected);
  return expected.plain.length;
}

/** What is put in, or in the place of something. */
const PIECES = [
  ...[
    '"',
    '\\',
    '0',
    '-',
    '.',
    'e',
    '1',
    '00',
    '+',
    ' ',
    '\n',
    '\u0000',
    '{',
    '}',
    '[',
    ']',
    ',',
    ':',
    '\\u0041',
    'null',
    'true',
  ],
  ...['A', 'é', '\u007f', '"x":1,', '"flags":1,', '"body":{"stringValue":"b"},', '"traceId":"",', '"spanId":"00",'],
  ...['{"key":"a","value":{"stringValue":"b"}},', '{"intValue":"7"}', '{"intValue":-0}', '{"doubleValue":1.50}', '{}'],
  ...[
    '{"doubleValue":1e3}',
    '{"doubleValue":Infinity}',
    '{"boolValue":"true"}',
    '"severityNumber":9,',
    '"timeUnixNano":"01",',
  ],
  ...[
    '{"arrayValue":{"values":[]}}',
    '{"arrayValue":{}}',
    '"eventName":"audit.checkpoint",',
    '"logRecords":[',
    ']}]}]}',
  ],
];
const piece = fc.oneof(
  fc.constant(''),
  fc.constantFrom(...PIECES),
  fc.integer({ min: 0, max: 255 }).map((byte) => String.fromCharCode(byte)),
);
/** A change at any byte, or between tokens, where the grammar decides. */
const mutation = fc.record({
  at: fc.nat(),
  remove: fc.oneof(fc.constant(0), fc.integer({ min: 0, max: 3 }), fc.integer({ min: 0, max: 60 })),
  put: piece,
  tokens: fc.constantFrom(true, true, true, false),
  /** Puts in what stands there already, once more. */
  again: fc.boolean(),
});
type Mutation = typeof mutation extends fc.Arbitrary<infer T> ? T : never;

function mutate(line: Buffer, { at, remove, put, tokens, again }: Mutation): Buffer {
  const borders = [0];
  if (tokens)
    for (const [i, byte] of line.entries()) if ('{}[],:'.includes(String.fromCharCode(byte))) borders.push(i, i + 1);
  const place = tokens ? at % borders.length : 0;
  const from = tokens ? (borders[place] as number) : at % line.length;
  const to = tokens ? (borders[Math.min(place + remove, borders.length - 1)] as number) : from + remove;
  // The newline at the end stays.
  const rest = line.subarray(Math.min(again ? from : to, line.length - 1));
  return Buffer.concat([line.subarray(0, from), again ? line.subarray(from, to) : Buffer.from(put, 'utf8'), rest]);
}

/** Puts the hash that the scanner comes to where the line has its claim, so that nothing but the form can be refused. */
function reseal(line: Buffer): Buffer {
  const start = line.indexOf(RECORD_START);
  if (start < 0) return line;
  const scanner = new LineScanner();
  scanner.begin(line);
  if (scanner.record(start + RECORD_START.length) < 0 || scanner.kind !== 'special') return line;
  const claim = line.indexOf('"audit.integrity.value","value":{"stringValue":"');
  if (claim < 0) return line;
  const resealed = Buffer.from(line);
  resealed.write(Buffer.from(scanner.leaf).toString('base64'), claim + 48, 44, 'latin1');
  return resealed;
}

function lineOf(one: object, sequence: number): string {
  const { line, lineBytes } = encoder.encode(one as AuditInput, sequence);
  return line.toString('utf8', 0, lineBytes);
}

/** A record with a value of each kind. */
const WHOLE: AuditInput = {
  eventName: 'order.placed',
  attributes: {
    list: [1, 'a', 0.5],
    map: { a: 1, b: [] },
    ok: true,
    price: 91_234.56,
    size: 3,
  },
  body: 'Order placed: über 5 µs',
  timeUnixNano: '1763690060000000000',
  severityNumber: 9,
  severityText: 'INFO',
  traceId: '0af7651916cd43dd8448eb211c80319c',
  spanId: 'b7ad6b7169203331',
  flags: 1,
};

describe('the quick way through lines', () => {
  it('comes to what the general way comes to, of journal lines and of Collector lines', () => {
    fc.assert(
      fc.property(fc.array(input, { minLength: 1, maxLength: 4 }), (inputs) => {
        const lines = inputs.map(lineOf);
        expect(compare(Buffer.from(lines.join('')))).toBeLessThanOrEqual(lines.length);
        compare(Buffer.from(collected(lines) + collected(lines.slice(0, 1))));
      }),
      { numRuns: 300 },
    );
  });

  it('is taken by what the writer writes of plain values', () => {
    const { line, lineBytes } = encoder.encode(WHOLE, 7);
    for (const bytes of [
      Buffer.from(line.subarray(0, lineBytes)),
      Buffer.from(collected([line.toString('utf8', 0, lineBytes)])),
    ]) {
      const scanner = new LineScanner();
      scanner.begin(bytes);
      expect(scanner.record(bytes.indexOf(RECORD_START) + RECORD_START.length)).toBeGreaterThan(0);
      expect({ kind: scanner.kind, sequence: scanner.sequence }).toEqual({ kind: 'plain', sequence: 7 });
    }
  });

  it('takes no line that the general way refuses or reads otherwise, however it was changed and hashed anew', () => {
    fc.assert(
      fc.property(
        input,
        input,
        fc.array(mutation, { minLength: 1, maxLength: 3 }),
        fc.boolean(),
        fc.boolean(),
        (one, other, mutations, asCollector, cut) => {
          const good = lineOf(one, 4);
          const whole = asCollector ? collected([good, lineOf(other, 5)]) : lineOf(other, 5);
          const teacher = asCollector ? collected([good]) : good;
          const changed = reseal(mutations.reduce(mutate, Buffer.from(whole)));
          compare(Buffer.concat([Buffer.from(teacher), changed, Buffer.from(teacher)]));
          if (cut && changed.indexOf(10) === changed.length - 1) compare(changed.subarray(0, -1), true);
        },
      ),
      { numRuns: 3000 },
    );
  });

  it.each([
    ...[
      ['"stringValue":"a"', '"stringValue":"\u0001"'],
      ['"stringValue":"a"', '"stringValue":"\t"'],
      ['"intValue":3', '"intValue":-0'],
      ['"intValue":3', '"intValue":03'],
      ['"intValue":3', '"intValue":"03"'],
    ],
    ...[
      ['"intValue":3', '"intValue":"3"'],
      ['"intValue":3', '"intValue":"3'],
      ['"intValue":3', '"intValue":3"'],
    ],
    ...[
      ['"intValue":3', '"intValue":3e0'],
      ['"intValue":3', '"intValue":1234567890123456789'],
    ],
    ...[
      ['"intValue":3', '"intValue":""'],
      ['"intValue":3', '"intValue":-'],
      ['"intValue":3', '"intValue":3,"intValue":3'],
    ],
    ...[
      ['91234.56', '91234.560'],
      ['91234.56', '1e3'],
      ['91234.56', '.5'],
      ['91234.56', '5.'],
      ['91234.56', '05.5'],
    ],
    ...[
      ['91234.56', '0.0000001'],
      ['91234.56', '0.000001'],
      ['91234.56', '-0.5'],
      ['91234.56', '-0'],
      ['91234.56', '0.0'],
    ],
    ...[
      ['91234.56', 'Infinity'],
      ['91234.56', '1e999'],
      ['91234.56', '1e+21'],
      ['91234.56', '0.30000000000000004'],
    ],
    ...[
      ['91234.56', '0.300000000000000041'],
      ['91234.56', '"5"'],
      ['91234.56', '0x10'],
      ['91234.56', ''],
      ['91234.56', '1-1'],
    ],
    ...[
      ['91234.56', '123456789012345.6'],
      ['91234.56', '1234567890123456.7'],
      ['91234.56', '1e-7'],
      ['91234.56', '+1.5'],
    ],
    ...[
      ['über', '\u0001'],
      ['über', '\u001f'],
      ['über', '\\u00fc'],
      ['über', '\u007f'],
      ['über', '\\ud800'],
      ['über', '\t'],
    ],
    ...[
      ['"boolValue":true', '"boolValue":True'],
      ['"boolValue":true', '"boolValue":truee'],
    ],
    ...[
      ['"key":"list"', '"key":"map"'],
      ['"key":"list"', '"key":"a"'],
      ['"key":"list"', '"key":"zzz"'],
    ],
    ...[
      ['"key":"list"', '"key":"\u0001"'],
      ['"key":"list"', '"key":"li\\u0073t"'],
      ['"key":"b"', '"key":"a"'],
      ['"key":"b"', '"key":"B"'],
    ],
    ...[
      ['"severityNumber":9', '"severityNumber":09'],
      ['"severityNumber":9', '"severityNumber":"9"'],
      ['"severityNumber":9', '"severityNumber":-1'],
    ],
    ...[
      ['"severityNumber":9,', '"severityNumber":9,"severityNumber":10,'],
      ['"severityNumber":9,', ''],
    ],
    ...[
      ['"body":', '"body":{"stringValue":"first"},"body":'],
      ['"eventName":', '"eventName":"first","eventName":'],
    ],
    ...[
      ['"traceId":', '"traceId":"","traceId":'],
      ['"spanId":', '"spanId":"","spanId":'],
      ['"timeUnixNano":', '"timeUnixNano":"5","timeUnixNano":'],
    ],
    ...[
      ['"flags":1', '"flags":1,"flags":2'],
      ['"flags":1', '"flags":01'],
      ['"flags":1', '"flags":'],
      ['"flags":1', '"flags":"1"'],
      ['"flags":1', '"flagz":1'],
    ],
    ...[
      ['"severityText":"INFO"', '"severityText":"INFO","severityText":"x"'],
      ['"severityText":"INFO"', '"severityText":"\u0002"'],
    ],
    ...[['"attributes":[{"key":"audit.record.id"', '"attributes":[],"attributes":[{"key":"audit.record.id"']],
    ...[
      ['0af7651916cd43dd8448eb211c80319c', '0AF7651916CD43DD8448EB211C80319C'],
      ['0af7651916cd43dd8448eb211c80319c', '0'.repeat(32)],
    ],
    ...[
      ['0af7651916cd43dd8448eb211c80319c', '0af7'],
      ['0af7651916cd43dd8448eb211c80319c', 'x'.repeat(32)],
      ['b7ad6b7169203331', '0'.repeat(16)],
    ],
    ...[
      ['0af7651916cd43dd8448eb211c80319c', `0af7651916cd43dd8448eb211c80319c0`],
      ['b7ad6b7169203331', ''],
    ],
    ...[
      ['1763690060000000000', '01'],
      ['1763690060000000000', ''],
      ['1763690060000000000', '18446744073709551616'],
      ['1763690060000000000', '1e3'],
    ],
    ...[['"audit.sequence.number","value":{"intValue":7}', '"audit.sequence.number","value":{"doubleValue":7}']],
    ...[['"audit.sequence.number","value":{"intValue":7}', '"audit.sequence.number","value":{"intValue":-7}']],
    ...[['"audit.sequence.number","value":{"intValue":7}', '"audit.sequence.number","value":{"stringValue":"7"}']],
    ...[
      ['"audit.stream","value":{"stringValue"', '"audit.stream","value":{"bytesValue"'],
      [STREAM, ''],
      [STREAM, 'other'],
    ],
    ...[
      ['"eventName":"order.placed"', '"eventName":"audit.checkpoint"'],
      ['"eventName":"order.placed",', ''],
    ],
    ...[
      ['{"values":[]}', '{}'],
      ['{"values":[]}', '{"values":[],"values":[]}'],
      ['{"values":[]}', '{"values":[{}]}'],
      ['{"values":[]}', '{"values":[,]}'],
    ],
    ...[
      [']}]}]}', ']}]}]} '],
      [']}]}]}', '],"x":1}]}]}'],
      [']}]}]}', ']}]}'],
      [']}]}]}', ',]}]}]}'],
      [']}]}]}', ',{}]}]}]}'],
    ],
    ...[
      [']}]}]}', ',{"attributes":[]}]}]}]}'],
      [']}]}]}', ',{"attributes":5}]}]}]}'],
      ['"logRecords":[', '"logRecords":[ '],
    ],
  ] as const)('is not taken in by %s as %s', (from, to) => {
    const { line, lineBytes } = encoder.encode(WHOLE, 7);
    const good = line.toString('utf8', 0, lineBytes);
    for (const whole of [good, collected([good, good])]) {
      const changed = whole.replace(from, to).replace('\n\n', '\n');
      compare(Buffer.concat([Buffer.from(whole), reseal(Buffer.from(changed)), Buffer.from(whole)]));
    }
    expect(good).toContain(from);
  });

  it('does not take a record that the line replaces by another behind it', () => {
    const line = lineOf({ eventName: 'a.b', attributes: {}, body: '', timeUnixNano: '1', severityText: '' }, 3);
    const twice = line.replace(']}]}]}\n', '],"logRecords":[{"eventName":"?"}]}]}]}\n');
    expect(compare(Buffer.from(line + twice + twice))).toBe(1);
  });
});
