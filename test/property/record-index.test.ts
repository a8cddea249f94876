import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { hashOf, ID_KIND, idHash, inLine } from '../../src/analysis/cache/record-index-hash.ts';
import { IndexPart } from '../../src/analysis/cache/record-index-part.ts';
import { RecordScanner } from '../../src/analysis/cache/record-index-scan.ts';
import { viewOf } from '../../src/core/bytes.ts';

const EVENTS = [
  'risk.trading_state_change',
  'risk.circuit_breaker.failure',
  'risk.circuit_breaker.trade_result',
  'risk.circuit_breaker.not_permitted',
  'risk.portfolio_limit.check',
  'market.price',
  'order.placed',
  'order.intent',
  'trade.exit',
];
const IDS = [
  'audit.record.id',
  'risk.cause.record_id',
  'trading.order.id',
  'trading.order.client_id',
  'trading.execution.id',
  'trading.position.id',
  'risk.trailing_stop.id',
];

const string = fc.oneof(
  fc.constantFrom('ACTIVE', 'HALTED', 'global', 'deny', 'allow', 'observe', 'broker', 'ORD-1', '', 'ä"\\\n'),
  fc.string({ unit: 'binary', maxLength: 12 }).map((text) => text.toWellFormed()),
);
const value: fc.Arbitrary<unknown> = fc.letrec((tie) => ({
  value: fc.oneof(
    { depthSize: 'small' },
    string.map((stringValue) => ({ stringValue })),
    fc.integer().map((intValue) => ({ intValue })),
    fc.integer().map((intValue) => ({ intValue: String(intValue) })),
    fc.double({ noNaN: true, noDefaultInfinity: true }).map((doubleValue) => ({ doubleValue })),
    fc.boolean().map((boolValue) => ({ boolValue })),
    fc.array(tie('value'), { maxLength: 3 }).map((values) => ({ arrayValue: { values } })),
    fc
      .array(fc.record({ key: string, value: tie('value') }), { maxLength: 3 })
      .map((values) => ({ kvlistValue: { values } })),
    fc.constant({ arrayValue: {} }),
  ),
})).value;

const attribute = fc.oneof(
  fc.record({
    key: fc.constantFrom(
      ...IDS,
      'audit.stream',
      'risk.scope',
      'risk.decision',
      'risk.rule.mode',
      'risk.trading_state.new',
      'risk.circuit_breaker.name',
    ),
    value: fc.oneof({ weight: 5, arbitrary: string.map((stringValue) => ({ stringValue })) }, value),
  }),
  fc.record({
    key: fc.constant('trading.order.ids'),
    value: fc.oneof(
      fc
        .array(string, { maxLength: 3 })
        .map((texts) => ({ arrayValue: { values: texts.map((stringValue) => ({ stringValue })) } })),
      value,
    ),
  }),
  fc.record({
    key: fc.constant('audit.sequence.number'),
    value: fc.nat().map((number) => (number % 2 === 0 ? { intValue: number } : { intValue: String(number) })),
  }),
  fc.record({ key: fc.oneof(string, fc.constant('trading.price')), value }),
);

const hex = (length: number) =>
  fc.string({ unit: fc.constantFrom(...'0123456789abcdef'), minLength: length, maxLength: length });
const record = fc
  .tuple(
    fc.oneof(fc.bigInt({ min: 0n, max: 2n ** 62n }).map(String), fc.constant('0')),
    fc.constantFrom(...EVENTS),
    fc.array(attribute, { maxLength: 10 }),
    string,
    fc.option(hex(32)),
    fc.boolean(),
  )
  .map(([timeUnixNano, eventName, attributes, body, traceId, observed]) => ({
    timeUnixNano,
    ...(observed ? { observedTimeUnixNano: timeUnixNano } : {}),
    severityNumber: 9,
    severityText: 'INFO',
    eventName,
    attributes,
    body: { stringValue: body },
    ...(traceId === null ? {} : { traceId, spanId: traceId.slice(0, 16), flags: 1 }),
  }));

const payload = (records: readonly unknown[]) => ({
  resourceLogs: [{ resource: {}, scopeLogs: [{ scope: { name: 'risktrail' }, logRecords: records }] }],
});

/** What a part tells, without its places. */
function told(lines: string, texts: readonly string[]): unknown {
  const scanner = new RecordScanner();
  scanner.lines(Buffer.from(lines));
  const [part] = scanner.take().map((buffer) => new IndexPart(buffer));
  if (part === undefined) return undefined;
  const begins = [...lines.matchAll(/^./gm)].map(({ index }) => Buffer.byteLength(lines.slice(0, index)));
  const lineOf = (offset: number) => begins.indexOf(offset);
  const { offset, ...marks } = part.marks;
  return {
    ids: texts.map((text) => {
      const bytes = inLine(text);
      return Object.values(ID_KIND).map((kind) => part.find(idHash(kind, viewOf(bytes), 0, bytes.length)).map(lineOf));
    }),
    lines: Array.from(offset, lineOf),
    marks,
    last: [part.lastSeconds, part.lastNanos],
  };
}

const textsOf = (value: unknown): string[] =>
  typeof value === 'string'
    ? [value]
    : typeof value === 'object' && value !== null
      ? Object.values(value).flatMap(textsOf)
      : [];

describe('an index of records', () => {
  it('is the same however the lines are written', () => {
    const groups = fc.array(fc.array(record, { minLength: 1, maxLength: 3 }), { minLength: 1, maxLength: 6 });
    fc.assert(
      fc.property(groups, (lines) => {
        // The first line shows what the others begin with.
        const all = [[{ timeUnixNano: '1', eventName: 'trade.exit', attributes: [] }], ...lines].map(payload);
        const texts = [...new Set(textsOf(lines))];
        const compact = told(all.map((line) => `${JSON.stringify(line)}\n`).join(''), texts);
        // White space is what no journal writes: these lines are decoded, each by itself.
        const spaced = told(all.map((line) => ` ${JSON.stringify(line)}\n`).join(''), texts);
        expect(compact).toEqual(spaced);
      }),
      { numRuns: 300 },
    );
  });

  it('tells texts apart that differ anywhere', () => {
    fc.assert(
      fc.property(fc.string(), fc.string(), (one, other) => {
        expect(hashOf(one) === hashOf(other)).toBe(one === other);
      }),
    );
    expect([hashOf(null), hashOf(undefined)]).toEqual([0, 0]);
  });
});
