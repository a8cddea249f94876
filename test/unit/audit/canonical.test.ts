import { describe, expect, it } from 'vitest';
import { type AuditForm, auditForm } from '../../../src/audit/record/canonical.ts';
import { visitRecords } from '../../../src/audit/record/otlp.ts';

/** The form of a record with these members, and an attribute `a` of this value, as they stand in a line. */
function formOf(members: string, value = '{"stringValue":"x"}'): AuditForm {
  const attributes = `[{"key":"audit.stream","value":{"stringValue":"s"}},{"key":"audit.sequence.number","value":{"intValue":1}},{"key":"audit.integrity.value","value":{"stringValue":"claim"}},{"key":"a","value":${value}}]`;
  const forms: (AuditForm | undefined)[] = [];
  const record = `{${members}${members === '' ? '' : ','}"attributes":${attributes}}`;
  const line = `{"resourceLogs":[{"scopeLogs":[{"logRecords":[${record}]}]}]}`;
  expect(visitRecords(line, (one) => forms.push(auditForm(one)), true)).toBe(true);
  return forms[0] as AuditForm;
}

describe('records that have a canonical form', () => {
  it.each([
    ['a time of the last nanosecond', '"timeUnixNano":"18446744073709551615"', '"time":"18446744073709551615"'],
    ['a time as a safe integer', '"timeUnixNano":1763690000', '"time":"1763690000"'],
    ['members that are null', '"timeUnixNano":null,"body":null,"eventName":null,"spanId":null', '"time":"0"'],
    ['a body whose string is null', '"body":{"stringValue":null}', '"body":""'],
    ['an id with upper-case digits', '"spanId":"00AF7651916CD43D"', '"span":"00af7651916cd43d"'],
  ])('%s', (_, members, part) => expect(formOf(members).text).toContain(part));

  it.each([
    ['{"intValue":1e3}', '1000'],
    ['{"intValue":"-0"}', '0'],
    ['{"intValue":"-9223372036854775808"}', '-9223372036854776000'],
    ['{"doubleValue":9007199254740993}', '9007199254740992'],
    ['{"stringValue":"x","intValue":null}', '"x"'],
    ['{"stringValue":"x","unknown":5}', '"x"'],
    ['{"arrayValue":{}}', '[]'],
    ['{"kvlistValue":{"values":null}}', '{}'],
    [
      '{"kvlistValue":{"values":[{"key":"b","value":{"boolValue":true}},{"value":{"boolValue":false}}]}}',
      '{"":false,"b":true}',
    ],
  ])('%s is %s', (value, text) => expect(formOf('', value).text).toContain(`"a":${text},"audit.`));
});

describe('records that have none', () => {
  it.each([
    ['a time past 64 bits', '"timeUnixNano":"18446744073709551616"'],
    ['a time with a leading zero', '"timeUnixNano":"05"'],
    ['a negative time', '"timeUnixNano":-5'],
    ['a body that is text', '"body":"x"'],
    ['a body of two types', '"body":{"stringValue":"x","intValue":1}'],
    ['an event name that is a number', '"eventName":5'],
    ['a severity that is text', '"severityNumber":"9"'],
    ['a severity with a fraction', '"severityNumber":9.5'],
    ['a trace id that is a number', '"traceId":5'],
    ['a span id that is not hex', '"spanId":"00af7651916cd43g"'],
  ])('%s', (_, members) => {
    expect(formOf(members).text).toBeUndefined();
    expect(formOf(members).defect).toBeTypeOf('string');
  });

  it.each([
    '{"stringValue":"x","intValue":1}',
    '{"stringValue":5}',
    '{"boolValue":"true"}',
    '{"intValue":1.5}',
    '{"intValue":"1.0"}',
    '{"intValue":"+1"}',
    '{"intValue":"007"}',
    '{"intValue":9007199254740993}',
    '{"intValue":"9223372036854775808"}',
    '{"intValue":true}',
    '{"doubleValue":"1.5"}',
    '{"doubleValue":1e999}',
    '{"stringValue":null}',
    '{"arrayValue":{"values":{}}}',
    '{"arrayValue":{"values":[null]}}',
    '{"arrayValue":5}',
    '{"kvlistValue":{"values":[null]}}',
    '{"kvlistValue":{"values":[{"key":"b"}]}}',
    '{"kvlistValue":{"values":[{"key":5,"value":{"intValue":1}}]}}',
    '{"bytesValue":""}',
    '"x"',
    'null',
  ])('an attribute of %s', (value) => {
    expect(formOf('', value).text).toBeUndefined();
    expect(formOf('', value).defect).toBeTypeOf('string');
  });
});
