/** OTLP/JSON requests, spliced from journal lines. */
import { LINE_TAIL, type Line, PAYLOAD_START } from './line.ts';

const COMMA = 0x2c;
/** Ends the records, scope and resource of one head, and goes on with the next resource. */
const NEXT_RESOURCE = Buffer.from(']}]},');

/**
 * One request with the records of the lines, in their order. Neighbours of one head share its resource and scope.
 * @param take gives a buffer of at least so many bytes, for the request
 */
export function jsonRequest(lines: readonly Line[], take: (bytes: number) => Buffer = Buffer.allocUnsafe): Buffer {
  const first = lines[0];
  if (first === undefined) return Buffer.from('{"resourceLogs":[]}');
  const body = take(sizeOf(lines));
  let at = first.block.copy(body, 0, first.start, first.end - LINE_TAIL.length);
  let { head } = first;
  for (let i = 1; i < lines.length; i++) {
    const line = lines[i]!;
    let from = line.start + line.head.length;
    if (line.head === head) {
      body[at++] = COMMA;
    } else {
      at += NEXT_RESOURCE.copy(body, at);
      from = line.start + PAYLOAD_START.length;
      head = line.head;
    }
    at += line.block.copy(body, at, from, line.end - LINE_TAIL.length);
  }
  at += LINE_TAIL.copy(body, at);
  return body.subarray(0, at);
}

/** No less than the length of the request. */
function sizeOf(lines: readonly Line[]): number {
  let size = LINE_TAIL.length;
  for (const { start, end } of lines) size += end - start;
  return size;
}
