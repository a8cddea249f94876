/** A thread that digests blocks of lines, one after the other. */
import { parentPort } from 'node:worker_threads';
import { BlockDigester } from './digest.ts';
import { type DigestAnswer, type DigestRequest, pack } from './digest-message.ts';

const port = parentPort;
const digester = new BlockDigester();

port?.on('message', ({ memory, length, cut }: DigestRequest) => {
  const digest = digester.digest({ bytes: Buffer.from(memory, 0, length), cut });
  const { count, streams, specials, torn, lineCount } = digest;
  const packed = pack(digest);
  const answer: DigestAnswer = { memory, packed, count, streams, specials, torn, lineCount };
  port.postMessage(answer, [memory, packed]);
});
