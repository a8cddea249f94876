/** Deliveries to a receiver that is a function: no sockets, no waiting. */
import type { Answer } from '../../src/audit/ship/answer.ts';
import { Delivery } from '../../src/audit/ship/delivery.ts';
import type { Line } from '../../src/audit/ship/line.ts';

/** Lines with nothing in them but a number. */
export function numbered(numbers: readonly number[]): Line[] {
  const block = Buffer.from('x');
  return numbers.map((sequence) => ({ block, start: 0, end: 1, sequence, head: block }));
}

export const ACCEPTED: Answer = { kind: 'accepted', warning: undefined };
export const REFUSED: Answer = { kind: 'refused', told: '400' };
export const TOO_LARGE: Answer = { kind: 'too-large', told: '413' };
export const SILENT: Answer = { kind: 'outage', told: 'reset', retryAfterMs: undefined, silent: true, early: true };
export const outage = (retryAfterMs?: number): Answer => ({ kind: 'outage', told: '503', retryAfterMs });

/** What happened in a delivery. */
export interface Watched {
  readonly delivery: Delivery;
  /** Numbers of each request, in order. */
  readonly requests: number[][];
  /** Numbers that were accepted, in order. */
  readonly accepted: number[];
  readonly pauses: number[];
  /** Numbers of each body that was given back, in order. */
  readonly reused: number[][];
}

/** @param answer what the receiver says to a request with these numbers */
export function watchedDelivery(answer: (numbers: readonly number[], index: number) => Answer, random = 0.5): Watched {
  const requests: number[][] = [];
  const accepted: number[] = [];
  const pauses: number[] = [];
  const reused: number[][] = [];
  const delivery = new Delivery({
    client: {
      endpoint: 'test',
      async send(body) {
        const numbers = JSON.parse(body.toString()) as number[];
        requests.push(numbers);
        const said = answer(numbers, requests.length - 1);
        if (said.kind === 'accepted') accepted.push(...numbers);
        return said;
      },
      close() {},
    },
    settings: { backOffMs: 1_000, maxBackOffMs: 30_000 },
    encoder: {
      encode: async (lines) => Buffer.from(JSON.stringify(lines.map((line) => line.sequence))),
      reuse: (body) => void reused.push(JSON.parse(body.toString()) as number[]),
    },
    async pause(ms) {
      pauses.push(ms);
    },
    random: () => random,
    onAccepted() {},
    onOutage() {},
    onRequest() {},
  });
  return { delivery, requests, accepted, pauses, reused };
}
