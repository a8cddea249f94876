import { describe, expect, it } from 'vitest';
import type { AuditInput } from '../../../src/audit/record/audit-input.ts';
import { auditForm } from '../../../src/audit/record/canonical.ts';
import { RecordEncoder } from '../../../src/audit/record/encode.ts';
import { plainAttributes, visitRecords } from '../../../src/audit/record/otlp.ts';

const STREAM = 'svc/0193f6a0-1111-7aaa-8bbb-123456789abc';

function encode(attributes: Record<string, unknown>, more: Partial<AuditInput> = {}) {
  const encoder = new RecordEncoder({ stream: STREAM, resource: {}, scope: { name: 'risktrail', version: '1' } });
  const made = encoder.encode(
    { eventName: 'a.b', severityNumber: 9, severityText: 'INFO', body: 'b', timeUnixNano: '17', attributes, ...more },
    3,
  );
  const line = made.line.toString('utf8', 0, made.lineBytes);
  let record: Record<string, unknown> = {};
  visitRecords(line, (one) => {
    record = one as Record<string, unknown>;
  });
  const all = plainAttributes(record['attributes']) as Record<string, unknown>;
  const { 'audit.coerced': coerced, ...rest } = all;
  const own = Object.fromEntries(Object.entries(rest).filter(([key]) => !key.startsWith('audit.')));
  return { made, line, record, all, own, coerced };
}

describe('values that have no canonical form', () => {
  it.each([
    ['a bigint', 10n ** 30n, `1${'0'.repeat(30)}`],
    ['a date', new Date(0), '1970-01-01T00:00:00.000Z'],
    ['an invalid date', new Date(Number.NaN), 'Invalid Date'],
    ['NaN', Number.NaN, 'NaN'],
    ['Infinity', Number.POSITIVE_INFINITY, 'Infinity'],
    ['-Infinity', Number.NEGATIVE_INFINITY, '-Infinity'],
    ['a lone surrogate', 'a\ud800b', 'a\u{fffd}b'],
    ['binary', Buffer.from('hi'), 'aGk='],
    ['a typed array', new Uint16Array([1, 2]), 'AQACAA=='],
    ['an array buffer', new Uint8Array([104, 105]).buffer, 'aGk='],
    ['a map', new Map([['k', 1]]), { k: 1 }],
    ['a set', new Set([1, 'x']), [1, 'x']],
    ['an error', new TypeError('bad'), { name: 'TypeError', message: 'bad' }],
    ['a URL', new URL('http://a/b'), 'http://a/b'],
    ['a boxed number', Object(5), 5],
    [
      'a class instance',
      new (class Point {
        x = 1;
      })(),
      { x: 1 },
    ],
    [
      'an instance with toJSON',
      new (class Money {
        toJSON() {
          return '5 USD';
        }
      })(),
      '5 USD',
    ],
  ])('%s is changed and named', (_, given, expected) => {
    const { own, coerced } = encode({ v: given, ok: 1 });
    expect(own).toEqual({ v: expected, ok: 1 });
    expect(coerced).toEqual(['v']);
  });

  it.each([
    ['null', null],
    ['undefined', undefined],
    ['a function', () => 1],
    ['a symbol', Symbol('s')],
  ])('%s is dropped and named; in an array it is an empty string', (_, given) => {
    const { own, coerced } = encode({ v: given, list: [1, given], ok: 1 });
    expect(own).toEqual({ list: [1, ''], ok: 1 });
    expect(coerced).toEqual(['v', 'list[1]']);
  });

  it('names nested values by dotted path and index', () => {
    const { own, coerced } = encode({ m: { a: { b: [{ c: 1n }] } } });
    expect(own).toEqual({ m: { a: { b: [{ c: '1' }] } } });
    expect(coerced).toEqual(['m.a.b[0].c']);
  });

  it('writes what it read of a list whose items change as they are read', () => {
    const later = { text: 'x"}]', nan: Number.NaN };
    for (const [name, second] of Object.entries(later)) {
      let reads = 0;
      const list = Object.defineProperty([1, 2, 3], 1, { get: () => (reads++ === 0 ? 2 : second), enumerable: true });
      const { own } = encode({ list, ok: true });
      expect([name, own]).toEqual([name, expect.objectContaining({ list: expect.any(Array), ok: true })]);
    }
  });

  it('records circular and very deep structures, throwing getters and hostile proxies', () => {
    const circular: Record<string, unknown> = { a: 1 };
    circular['self'] = circular;
    let deep: unknown = 'end';
    for (let i = 0; i < 10_000; i++) deep = [deep];
    const getter = Object.defineProperty({}, 'g', {
      enumerable: true,
      get() {
        throw new Error('no');
      },
    });
    const proxy = new Proxy(
      {},
      {
        ownKeys() {
          throw new Error('never');
        },
      },
    );
    const { own, coerced } = encode({ circular, deep, getter, proxy, ok: true });
    expect(own['circular']).toEqual({ a: 1, self: '[circular]' });
    expect(JSON.stringify(own['deep'])).toContain('[nested too deeply]');
    expect(own['getter']).toEqual({ g: '[unreadable: no]' });
    expect(own['ok']).toBe(true);
    expect(coerced).toEqual(expect.arrayContaining(['circular.self', 'getter.g', 'proxy']));
  });

  it('keeps a structure that stands twice side by side', () => {
    const shared = { a: 1 };
    expect(encode({ x: shared, y: [shared, shared] })).toMatchObject({
      own: { x: shared, y: [shared, shared] },
      coerced: undefined,
    });
  });

  it('records an event whose attributes cannot be listed at all', () => {
    const attributes = new Proxy(
      {},
      {
        ownKeys() {
          throw new Error('never');
        },
      },
    );
    expect(encode(attributes).coerced).toEqual(['*']);
    expect(encode(null as unknown as Record<string, unknown>).record['eventName']).toBe('a.b');
  });

  it('merges the names that an earlier stage gives, and mends keys without losing values', () => {
    const map = new Map<unknown, unknown>([
      [1, 'number'],
      ['1', 'string'],
    ]);
    const { own, coerced } = encode({ '\ud800': 1, '\u{fffd}': 2, map }, { coerced: ['earlier'] });
    expect(own).toEqual({
      '\u{fffd}': 2,
      '\u{fffd}\u{fffd}': 1,
      map: { 1: 'number', '1\u{fffd}': 'string' },
    });
    expect(coerced).toEqual(['earlier', '\u{fffd}\u{fffd}', 'map', 'map.1\u{fffd}']);
  });

  it('makes text of a body that is none', () => {
    const { record, coerced } = encode({}, { body: 5 as unknown as string });
    expect(record['body']).toEqual({ stringValue: '5' });
    expect(coerced).toEqual(['body']);
  });
});

describe('numbers', () => {
  it('writes safe integers as ints and everything else as doubles, and -0 as 0', () => {
    const { line, made } = encode({ a: 9007199254740991, b: 9007199254740992, c: 1e21, d: 0.1, e: -0 });
    for (const part of [
      '"a","value":{"intValue":9007199254740991}',
      '"b","value":{"doubleValue":9007199254740992}',
      '"c","value":{"doubleValue":1e+21}',
      '"d","value":{"doubleValue":0.1}',
      '"e","value":{"intValue":0}',
    ]) {
      expect(line).toContain(part);
    }
    expect(made.canonical).toContain('"a":9007199254740991');
    expect(made.canonical).toContain('"b":9007199254740992,"c":1e+21,"d":0.1,"e":0');
  });
});

describe('what the writer itself sets', () => {
  it('keeps a record id that is given, and replaces one that is none', () => {
    expect(encode({ 'audit.record.id': 'my-id' }).made.recordId).toBe('my-id');
    const { made, coerced } = encode({ 'audit.record.id': { a: 1 } });
    expect(made.recordId).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-7/);
    expect(coerced).toEqual(['audit.record.id']);
  });

  it('does not let an event pose as another record', () => {
    const { all, coerced } = encode({
      'audit.stream': 'evil/1',
      'audit.sequence.number': 99,
      'audit.integrity.value': 'x',
    });
    expect(all).toMatchObject({ 'audit.stream': STREAM, 'audit.sequence.number': 3 });
    expect(coerced).toEqual(['audit.stream', 'audit.sequence.number', 'audit.integrity.value']);
  });

  it('leaves out ids, flags and severities that are none', () => {
    const bad = encode({}, { traceId: 'xyz', spanId: '0'.repeat(16), flags: -1, severityNumber: 99 });
    expect(bad.record).not.toHaveProperty('traceId');
    expect(bad.record).not.toHaveProperty('spanId');
    expect(bad.record).not.toHaveProperty('flags');
    expect(bad.record['severityNumber']).toBe(0);
    const good = encode({}, { traceId: 'AB'.repeat(16), spanId: 'CD'.repeat(8), flags: 1 });
    expect(good.record).toMatchObject({ traceId: 'ab'.repeat(16), spanId: 'cd'.repeat(8), flags: 1 });
  });

  it('makes room in time, wherever in a record its first buffer ends', () => {
    for (let size = 14_900; size < 16_600; size++) {
      const { record, made } = encode({
        a: 'x'.repeat(size),
        b: true,
        c: [1.5, { d: 'y' }],
        e: 'ü'.repeat(9),
        f: size,
      });
      const form = auditForm(record);
      if (form?.text === made.canonical && form.claim === made.leaf.toString('base64')) continue;
      expect.fail(`at ${size} characters the line differs from what was hashed`);
    }
  });

  it('goes on after a record that is larger than its buffer', () => {
    const encoder = new RecordEncoder({ stream: STREAM, resource: { r: 1 }, scope: { name: 's', version: '1' } });
    const input = (size: number): AuditInput => ({
      eventName: 'a.b',
      severityNumber: 9,
      severityText: 'INFO',
      body: 'b',
      timeUnixNano: '17',
      attributes: { v: '😀'.repeat(size) },
    });
    for (const size of [1, 1_000_000, 1, 20_000, 2]) {
      const { line, lineBytes } = encoder.encode(input(size), 0);
      const payload = JSON.parse(line.toString('utf8', 0, lineBytes));
      const attributes = payload.resourceLogs[0].scopeLogs[0].logRecords[0].attributes;
      expect(plainAttributes(attributes)['v']).toBe('😀'.repeat(size));
    }
  });
});
