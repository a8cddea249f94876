/** Request bodies as the settings ask for them. */
import { promisify } from 'node:util';
import { gzip } from 'node:zlib';
import { BufferPool } from '../../core/buffer-pool.ts';
import type { Line } from './line.ts';
import { jsonRequest } from './request-json.ts';
import { ProtobufRequests } from './request-protobuf.ts';
import type { ShipperSettings } from './settings.ts';

const compress = promisify(gzip);
/** Trail text is so alike that a higher level costs twice the time for a tenth of the size. */
const GZIP_LEVEL = 1;

/** Makes the bodies of requests. */
export interface Encoder {
  /** @throws where a line can't be encoded */
  encode(lines: readonly Line[]): Promise<Buffer>;
  /** Takes back a body that nobody needs any more: another request may stand in its bytes at once. */
  reuse(body: Buffer): void;
}

/** An encoder for the settings' protocol and compression. */
export function createEncoder({ protocol, compression }: Pick<ShipperSettings, 'protocol' | 'compression'>): Encoder {
  const pool = new BufferPool();
  const take = (bytes: number) => pool.take(bytes);
  const requests = new ProtobufRequests();
  const makeRequest = protocol === 'http/json' ? jsonRequest : requests.request.bind(requests);
  return {
    async encode(lines) {
      const body = makeRequest(lines, take);
      if (compression === 'none') return body;
      const compressed = await compress(body, { level: GZIP_LEVEL });
      pool.give(body);
      return compressed;
    },
    reuse: (body) => pool.give(body),
  };
}
