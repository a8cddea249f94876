import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { nanosToIso, toFlatRecord } from '../../../src/analysis/flat-record.ts';
import type { AuditRecord } from '../../../src/audit/read/reader.ts';
import { ATTRIBUTES } from '../../../src/catalog/attributes.ts';

const RECORD: AuditRecord = {
  stream: 'momentum-bot/9daa6223-bff6-4d4e-8c73-7bd8062153f2',
  sequence: 12,
  recordId: '019aa41e-9b29-7c01-ae33-26fef5febea5',
  integrity: 'lYA+mESSeq0vLuo9r+kRRHE2V/M1VzlTTg72SWOMelU=',
  time: '1763690060585712567',
  severityNumber: 9,
  severityText: 'INFO',
  body: 'Order placed: buy AAPL',
  eventName: 'order.placed',
  attributes: {
    'audit.stream': 'momentum-bot/9daa6223-bff6-4d4e-8c73-7bd8062153f2',
    'audit.sequence.number': 12,
    'audit.record.id': '019aa41e-9b29-7c01-ae33-26fef5febea5',
    'audit.integrity.value': 'lYA+mESSeq0vLuo9r+kRRHE2V/M1VzlTTg72SWOMelU=',
    'trading.symbol': 'AAPL',
    'trading.side': 'buy',
    'trading.quantity': '100.50',
    metadata: { tag: 'x' },
  },
  traceId: 'e7ca4dbb291be9ce8fa094b851c93ba4',
  spanId: '0c8835c6273ef918',
  resource: { 'service.name': 'momentum bot' },
  file: 'a.jsonl',
  line: 13,
};

describe('the flat shape', () => {
  it('has its members first, then every attribute under its full name', () => {
    expect(Object.entries(toFlatRecord(RECORD))).toEqual([
      ['timestamp', '2025-11-21T01:54:20.585712567Z'],
      ['event', 'order.placed'],
      ['category', ['order']],
      ['severity', 'INFO'],
      ['severity_number', 9],
      ['body', 'Order placed: buy AAPL'],
      ['component', 'order'],
      ['service', 'momentum bot'],
      ['stream', RECORD.stream],
      ['sequence', 12],
      ['record_id', RECORD.recordId],
      ['integrity', RECORD.integrity],
      ['trace_id', RECORD.traceId],
      ['span_id', RECORD.spanId],
      ['trading.symbol', 'AAPL'],
      ['trading.side', 'buy'],
      ['trading.quantity', '100.50'],
      ['metadata', { tag: 'x' }],
    ]);
  });

  it('has the same members for a plain log line, null where they do not apply', () => {
    const line: AuditRecord = {
      ...RECORD,
      stream: undefined,
      sequence: undefined,
      recordId: undefined,
      integrity: undefined,
      eventName: '',
      attributes: {},
      traceId: '',
      spanId: '',
      resource: {},
    };
    const flat = toFlatRecord(line);
    expect(Object.keys(flat)).toEqual(Object.keys(toFlatRecord(RECORD)).slice(0, 14));
    expect(flat).toMatchObject({
      event: null,
      category: [],
      component: null,
      service: null,
      stream: null,
      trace_id: null,
    });
  });

  it('puts records of ERROR and above into the category error as well', () => {
    expect(toFlatRecord({ ...RECORD, severityNumber: 16 }).category).toEqual(['order']);
    expect(toFlatRecord({ ...RECORD, severityNumber: 17 }).category).toEqual(['order', 'error']);
    expect(toFlatRecord({ ...RECORD, severityNumber: 21 })).toMatchObject({ severity: 'FATAL', severity_number: 21 });
  });

  it('takes a service’s own event by its family', () => {
    const flat = toFlatRecord({ ...RECORD, eventName: 'risk.acme_check', attributes: {} });
    expect(flat).toMatchObject({ category: ['risk'], component: 'risk' });
    expect(toFlatRecord({ ...RECORD, eventName: 'acme.rebalanced', attributes: {} })).toMatchObject({
      category: [],
      component: 'acme',
    });
  });

  it('moves an attribute that has the name of a member aside, so that none is lost', () => {
    const flat = toFlatRecord({ ...RECORD, attributes: { body: 'mine', event: 5, 'trading.symbol': 'AAPL' } });
    expect(flat).toMatchObject({
      body: RECORD.body,
      event: 'order.placed',
      'attributes.body': 'mine',
      'attributes.event': 5,
    });
    expect(flat['trading.symbol']).toBe('AAPL');
  });

  it('shares no name with the catalogue', () => {
    const members = Object.keys(toFlatRecord({ ...RECORD, attributes: {} }));
    expect(Object.keys(ATTRIBUTES).filter((name) => members.includes(name))).toEqual([]);
  });

  it('takes the service from the stream where the resource names none', () => {
    expect(toFlatRecord({ ...RECORD, resource: {} }).service).toBe('momentum-bot');
  });
});

describe('timestamps', () => {
  it('keep all nine digits, and what is no time is the epoch', () => {
    expect(nanosToIso('0')).toBe('1970-01-01T00:00:00.000000000Z');
    expect(nanosToIso('1')).toBe('1970-01-01T00:00:00.000000001Z');
    expect(nanosToIso('1763690060000000000')).toBe('2025-11-21T01:54:20.000000000Z');
    expect(nanosToIso('18446744073709551615')).toBe('2554-07-21T23:34:33.709551615Z');
    for (const wrong of ['', '-1', '1e3', 'x']) expect(nanosToIso(wrong)).toBe('1970-01-01T00:00:00.000000000Z');
  });

  it('sort as text as they sort as numbers', () => {
    const nanos = fc.bigInt({ min: 0n, max: 2n ** 64n - 1n });
    fc.assert(
      fc.property(nanos, nanos, (a, b) => {
        expect(nanosToIso(String(a)) < nanosToIso(String(b))).toBe(a < b);
      }),
    );
  });
});
