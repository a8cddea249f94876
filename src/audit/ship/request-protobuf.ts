/**
 * OTLP/protobuf requests from journal lines: the same records as in the JSON form, field by field. Field numbers are those of
 * https://github.com/open-telemetry/opentelemetry-proto (`logs.proto`, `common.proto`, `resource.proto`, `logs_service.proto`).
 */
import { isObject, type Json, listOf } from './json.ts';
import { LINE_TAIL, type Line, recordText } from './line.ts';
import { ProtobufWriter } from './protobuf-writer.ts';

/** Resource, scope and schema URLs of a line. */
interface Head {
  readonly resource: Json;
  readonly resourceSchemaUrl: string;
  readonly scope: Json;
  readonly scopeSchemaUrl: string;
}

const text = (value: unknown): string => (typeof value === 'string' ? value : '');
const object = (value: unknown): Json => (isObject(value) ? value : {});
const digits = (value: unknown): bigint => (/^-?\d{1,20}$/.test(String(value)) ? BigInt(String(value)) : 0n);

/** Makes requests; keeps its buffer and the last head. */
export class ProtobufRequests {
  readonly #writer = new ProtobufWriter();
  #headBytes: Buffer | undefined;
  #head: Head | undefined;

  /**
   * One request with the records of the lines, in their order.
   * @param take gives a buffer of at least so many bytes, for the request
   */
  request(lines: readonly Line[], take: (bytes: number) => Buffer = Buffer.allocUnsafe): Buffer {
    const writer = this.#writer;
    for (let end = lines.length; end > 0; ) {
      const { head } = lines[end - 1]!;
      let start = end;
      while (start > 0 && lines[start - 1]!.head === head) start--;
      this.#resourceLogs(this.#parse(head), lines, start, end);
      end = start;
    }
    return writer.finish(take);
  }

  #parse(bytes: Buffer): Head {
    if (this.#head !== undefined && this.#headBytes === bytes) return this.#head;
    const payload = JSON.parse(`${bytes}${LINE_TAIL}`);
    const resourceLogs = object(listOf(object(payload)['resourceLogs'])[0]);
    const scopeLogs = object(listOf(resourceLogs['scopeLogs']).at(-1));
    this.#headBytes = bytes;
    this.#head = {
      resource: object(resourceLogs['resource']),
      resourceSchemaUrl: text(resourceLogs['schemaUrl']),
      scope: object(scopeLogs['scope']),
      scopeSchemaUrl: text(scopeLogs['schemaUrl']),
    };
    return this.#head;
  }

  #resourceLogs(head: Head, lines: readonly Line[], start: number, end: number): void {
    const writer = this.#writer;
    const outer = writer.length;
    if (head.resourceSchemaUrl !== '') writer.string(3, head.resourceSchemaUrl);
    const inner = writer.length;
    if (head.scopeSchemaUrl !== '') writer.string(3, head.scopeSchemaUrl);
    for (let i = end - 1; i >= start; i--) {
      const since = writer.length;
      writeRecord(writer, object(JSON.parse(recordText(lines[i]!))));
      writer.message(2, since);
    }
    let since = writer.length;
    writeScope(writer, head.scope);
    writer.message(1, since);
    writer.message(2, inner);
    since = writer.length;
    writeCount(writer, 2, head.resource['droppedAttributesCount']);
    writeAttributes(writer, 1, head.resource['attributes']);
    writer.message(1, since);
    writer.message(1, outer);
  }
}

function writeScope(writer: ProtobufWriter, scope: Json): void {
  writeCount(writer, 4, scope['droppedAttributesCount']);
  writeAttributes(writer, 3, scope['attributes']);
  if (text(scope['version']) !== '') writer.string(2, text(scope['version']));
  if (text(scope['name']) !== '') writer.string(1, text(scope['name']));
}

function writeRecord(writer: ProtobufWriter, record: Json): void {
  if (text(record['eventName']) !== '') writer.string(12, text(record['eventName']));
  if (digits(record['observedTimeUnixNano']) !== 0n) writer.fixed64(11, digits(record['observedTimeUnixNano']));
  writeId(writer, 10, record['spanId']);
  writeId(writer, 9, record['traceId']);
  const flags = Number(record['flags'] ?? 0);
  if (flags > 0) writer.fixed32(8, flags);
  writeCount(writer, 7, record['droppedAttributesCount']);
  writeAttributes(writer, 6, record['attributes']);
  if (isObject(record['body'])) {
    const since = writer.length;
    writeValue(writer, record['body']);
    writer.message(5, since);
  }
  if (text(record['severityText']) !== '') writer.string(3, text(record['severityText']));
  writeCount(writer, 2, record['severityNumber']);
  if (digits(record['timeUnixNano']) !== 0n) writer.fixed64(1, digits(record['timeUnixNano']));
}

function writeId(writer: ProtobufWriter, field: number, id: unknown): void {
  if (text(id) !== '') writer.bytes(field, Buffer.from(text(id), 'hex'));
}

function writeCount(writer: ProtobufWriter, field: number, value: unknown): void {
  const count = Number(value ?? 0);
  if (count > 0) writer.uint(field, count);
}

function writeAttributes(writer: ProtobufWriter, field: number, list: unknown): void {
  const pairs = listOf(list);
  for (let i = pairs.length - 1; i >= 0; i--) {
    const pair = object(pairs[i]);
    const since = writer.length;
    if (isObject(pair['value'])) {
      const value = writer.length;
      writeValue(writer, pair['value']);
      writer.message(2, value);
    }
    if (text(pair['key']) !== '') writer.string(1, text(pair['key']));
    writer.message(field, since);
  }
}

/** An AnyValue. A member that is set is written also where it is empty or zero: that is what tells it from an unset value. */
function writeValue(writer: ProtobufWriter, value: Json): void {
  for (const member in value) {
    const item = value[member];
    if (item === null) continue;
    const since = writer.length;
    switch (member) {
      case 'stringValue':
        writer.string(1, text(item));
        return;
      case 'boolValue':
        writer.uint(2, item === true ? 1 : 0);
        return;
      case 'intValue':
        if (typeof item === 'number' && item >= 0) writer.uint(3, item);
        else writer.int64(3, digits(item));
        return;
      case 'doubleValue':
        writer.double(4, Number(item));
        return;
      case 'arrayValue': {
        const items = listOf(object(item)['values']);
        for (let i = items.length - 1; i >= 0; i--) {
          const one = writer.length;
          writeValue(writer, object(items[i]));
          writer.message(1, one);
        }
        writer.message(5, since);
        return;
      }
      case 'kvlistValue':
        writeAttributes(writer, 1, object(item)['values']);
        writer.message(6, since);
        return;
      case 'bytesValue':
        writer.bytes(7, Buffer.from(text(item), 'base64'));
        return;
    }
  }
}
