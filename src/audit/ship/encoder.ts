/** Request bodies as the settings ask for them. */
import { promisify } from 'node:util';
import { gzip } from 'node:zlib';
import type { Line } from './line.ts';
import { jsonRequest } from './request-json.ts';
import { ProtobufRequests } from './request-protobuf.ts';
import type { ShipperSettings } from './settings.ts';

const compress = promisify(gzip);
/** Trail text is so alike that a higher level costs twice the time for a tenth of the size. */
const GZIP_LEVEL = 1;

/** Makes the body of a request. @throws where a line can't be encoded */
export type Encoder = (lines: readonly Line[]) => Promise<Buffer>;

/** An encoder for the settings' protocol and compression. */
export function createEncoder({ protocol, compression }: Pick<ShipperSettings, 'protocol' | 'compression'>): Encoder {
  const requests = new ProtobufRequests();
  const encode = protocol === 'http/json' ? jsonRequest : (lines: readonly Line[]) => requests.request(lines);
  return async (lines) => {
    const body = encode(lines);
    return compression === 'gzip' ? compress(body, { level: GZIP_LEVEL }) : body;
  };
}
