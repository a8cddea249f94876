import protobuf from 'protobufjs';
import { afterEach, describe, expect, it } from 'vitest';
import { type Line, lineText, lineTimeMs } from '../../../../src/audit/ship/line.ts';
import { jsonRequest } from '../../../../src/audit/ship/request-json.ts';
import { ProtobufRequests } from '../../../../src/audit/ship/request-protobuf.ts';
import { StreamReader } from '../../../../src/audit/ship/stream-reader.ts';
import { temporaryDirectory } from '../../../support/journal.ts';
import { MadeStream } from '../../../support/made-stream.ts';
import { OTLP_PROTO } from '../../../support/otlp-proto.ts';

const directory = temporaryDirectory();
afterEach(() => directory.remove());

type Json = Record<string, unknown>;

async function linesOf(made: MadeStream): Promise<Line[]> {
  const reader = new StreamReader(made.directory, 0, (problem) => {
    throw new Error(problem);
  });
  const { file, bytes } = made.position();
  const firstSequence = Number.parseInt(file, 10);
  const lines = await reader.read({ firstSequence, copy: 0, bytes, ended: false }, 10_000, 1e9);
  await reader.close();
  return lines;
}

/** A stream with every kind of value, and two resources. */
function makeStream(): MadeStream {
  const attributes = {
    text: 'Überschuss "x" \u2028 \\ \u0000 🎲',
    empty: '',
    zero: 0,
    int: -5,
    large: 2 ** 53 - 1,
    low: -(2 ** 53 - 1),
    double: 1.5,
    huge: 1e300,
    tiny: 5e-324,
    yes: true,
    no: false,
    list: [1, 'two', false, [], { a: 1.25 }],
    map: { 'audit.sequence.number': 99, 'logRecords":[': { nested: '"logRecords":[' } },
    none: [],
    nothing: {},
  };
  return new MadeStream(directory.path)
    .add(3, (index) => ({ attributes: { ...attributes, index } }))
    .changeResource('2')
    .add(2, () => ({ body: '', severityText: '', traceId: undefined, spanId: undefined, flags: undefined }) as never)
    .changeResource('1')
    .add(1, () => ({ observedTimeUnixNano: '1700000000000000001', flags: 0x3ff }));
}

const recordsOf = (payload: Json): Json[] =>
  (payload['resourceLogs'] as Json[]).flatMap((resource) =>
    (resource['scopeLogs'] as Json[]).flatMap((scope) =>
      (scope['logRecords'] as Json[]).map((record) => ({
        record,
        resource: resource['resource'],
        scope: scope['scope'],
      })),
    ),
  );

describe('requests spliced from journal lines', () => {
  it('hold the records of the lines in their order, each with its own resource and scope', async () => {
    const lines = await linesOf(makeStream());
    const request = JSON.parse(jsonRequest(lines).toString('utf8')) as Json;
    const each = lines.flatMap((line) => recordsOf(JSON.parse(lineText(line))));
    expect(recordsOf(request)).toEqual(each);
    expect(request['resourceLogs']).toHaveLength(3);
  });

  it('hold a lone line as it stands', async () => {
    const [line] = await linesOf(makeStream());
    expect(jsonRequest([line!]).toString('utf8')).toBe(lineText(line!));
  });

  it('know the time of a line', async () => {
    const [line] = await linesOf(makeStream());
    expect(lineTimeMs(line!)).toBe(1_700_000_000_000);
  });

  it('are the same in protobuf, as another decoder reads it', async () => {
    const lines = await linesOf(makeStream());
    const json = JSON.parse(jsonRequest(lines).toString('utf8')) as Json;
    const type = protobuf.parse(OTLP_PROTO, { keepCase: false }).root.lookupType('ExportLogsServiceRequest');
    const requests = new ProtobufRequests();
    for (const some of [lines, lines.slice(2, 4), lines.slice(5)]) {
      const decoded = type.toObject(type.decode(requests.request(some)), { longs: String, bytes: Buffer, json: false });
      const expected = recordsOf(json).slice(lines.indexOf(some[0]!), lines.indexOf(some[0]!) + some.length);
      expect(recordsOf(plain(decoded) as Json)).toEqual(expected.map((one) => plain(one)));
    }
  });

  it('of a line that is garbled within its record can be sent as JSON only', async () => {
    const [line] = await linesOf(makeStream());
    line!.block[line!.start + line!.head.length + 1] = 0x7d;
    expect(() => new ProtobufRequests().request([line!])).toThrow(SyntaxError);
  });
});

/** Both sides in one form: numbers as strings, ids as hex, unset members left out. */
function plain(value: unknown, key = ''): unknown {
  if (Buffer.isBuffer(value)) return value.toString('hex');
  if (Array.isArray(value)) return value.map((item) => plain(item));
  if (typeof value !== 'object' || value === null) {
    return typeof value === 'number' && key !== 'doubleValue' ? String(value) : value;
  }
  const members = Object.entries(value).flatMap(([name, item]): [string, unknown][] => {
    // Proto3 doesn't tell an empty text, or an empty list, from none; in a value of an attribute it does.
    const unset = item === '' && (name === 'severityText' || name === 'eventName');
    const emptyList = Array.isArray(item) && item.length === 0 && name === 'values';
    return unset || emptyList ? [] : [[name, plain(item, name)]];
  });
  return Object.fromEntries(members);
}
