import { describe, expect, it } from 'vitest';
import { type Answer, readAnswer } from '../../../../src/audit/ship/answer.ts';

const NOW = Date.UTC(2026, 0, 1);

function answer(
  status: number,
  headers: Record<string, string> = {},
  body: string | Buffer = '',
  records = 10,
): Answer {
  return readAnswer({ status, headers, body: Buffer.from(body as string), cut: false }, records, NOW);
}

const JSON_TYPE = { 'content-type': 'application/json; charset=utf-8' };
const PROTOBUF_TYPE = { 'content-type': 'application/x-protobuf' };
/** partial_success { rejected_log_records: 3, error_message: "no" } */
const PARTIAL_PROTOBUF = Buffer.from('0a0608031202 6e6f'.replaceAll(' ', ''), 'hex');

describe('an answer of the receiver', () => {
  it.each([
    [200, JSON_TYPE, '{}'],
    [200, JSON_TYPE, '{"partialSuccess":{}}'],
    [200, JSON_TYPE, '{"partialSuccess":null}'],
    [200, PROTOBUF_TYPE, ''],
    [200, {}, ''],
    [204, {}, ''],
    [202, JSON_TYPE, '{"partialSuccess":{"rejectedLogRecords":"0"}}'],
  ])('of %i with %j and %j is a success', (status, headers, body) => {
    expect(answer(status, headers as Record<string, string>, body)).toEqual({ kind: 'accepted', warning: undefined });
  });

  it('may warn with a success', () => {
    const body = '{"partialSuccess":{"errorMessage":"use the new address"}}';
    expect(answer(200, JSON_TYPE, body)).toEqual({ kind: 'accepted', warning: 'use the new address' });
  });

  it.each([
    ['a page', { 'content-type': 'text/html' }, '<html>log in</html>'],
    ['no type', {}, '{}'],
    ['half a body', JSON_TYPE, '{"partialSuc'],
    ['a list', JSON_TYPE, '[]'],
    ['protobuf that is cut off', PROTOBUF_TYPE, PARTIAL_PROTOBUF.subarray(0, 5)],
    ['text as protobuf', PROTOBUF_TYPE, 'ok'],
  ])('of 200 with %s is no success', (_, headers, body) => {
    expect(answer(200, headers as Record<string, string>, body)).toMatchObject({ kind: 'outage' });
  });

  it('tells of partial success in either encoding', () => {
    const json = '{"partialSuccess":{"rejectedLogRecords":"3","errorMessage":"no"}}';
    const told = '200: 3 of 10 rejected: no';
    expect(answer(200, JSON_TYPE, json)).toEqual({ kind: 'partial', rejected: 3, told });
    expect(answer(200, JSON_TYPE, json.replace('"3"', '3'))).toEqual({ kind: 'partial', rejected: 3, told });
    expect(answer(200, PROTOBUF_TYPE, PARTIAL_PROTOBUF)).toEqual({ kind: 'partial', rejected: 3, told });
  });

  it('that rejects every record refuses the request', () => {
    expect(answer(200, PROTOBUF_TYPE, PARTIAL_PROTOBUF, 3)).toMatchObject({ kind: 'refused' });
    expect(answer(400, {}, 'bad time')).toEqual({ kind: 'refused', told: '400: bad time' });
  });

  it('of 413 asks for less', () => {
    expect(answer(413)).toEqual({ kind: 'too-large', told: '413' });
  });

  it.each([301, 302, 307, 308, 401, 403, 404, 405, 408, 429, 500, 501, 502, 503, 504])(
    'of %i is an outage',
    (status) => {
      expect(answer(status)).toMatchObject({ kind: 'outage', retryAfterMs: undefined });
    },
  );

  it('of a redirect names where it leads, without the query', () => {
    const { told } = answer(307, { location: 'https://login.example/x?token=secret' }) as { told: string };
    expect(told).toBe('307: redirected to https://login.example/x, which is not followed');
  });

  it.each([
    ['seconds', { 'retry-after': '7' }, 7_000],
    ['a date', { 'retry-after': new Date(NOW + 9_000).toUTCString() }, 9_000],
    [
      'a date by the clock of the receiver',
      { 'retry-after': 'Wed, 21 Oct 2015 07:28:30 GMT', date: 'Wed, 21 Oct 2015 07:28:00 GMT' },
      30_000,
    ],
    ['a date that is past', { 'retry-after': 'Wed, 21 Oct 2015 07:28:30 GMT' }, 0],
    ['a year', { 'retry-after': '31536000' }, 3_600_000],
    ['nonsense', { 'retry-after': 'soon' }, undefined],
    ['a negative number', { 'retry-after': '-5' }, undefined],
  ])('may ask for a pause by %s', (_, headers, retryAfterMs) => {
    expect(answer(503, headers as Record<string, string>)).toMatchObject({ kind: 'outage', retryAfterMs });
    expect(answer(429, headers as Record<string, string>)).toMatchObject({ retryAfterMs });
  });

  it('is told in one short line', () => {
    const json = answer(400, JSON_TYPE, '{"code":3,"message":"invalid\\nrecord"}') as { told: string };
    expect(json.told).toBe('400: invalid record');
    const rpc = answer(400, PROTOBUF_TYPE, Buffer.from('080312026e6f', 'hex')) as { told: string };
    expect(rpc.told).toBe('400: no');
    const long = answer(400, {}, 'x'.repeat(5_000)) as { told: string };
    expect(long.told.length).toBeLessThan(600);
  });
});
