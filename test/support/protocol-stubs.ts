/** Servers on this machine that speak just enough of PostgreSQL's, Redis's and Kafka's protocols for one query, command or record. */
import { type AddressInfo, createServer, type Socket } from 'node:net';

export interface ProtocolStub {
  readonly port: number;
  /** Everything that came in. */
  readonly received: () => Buffer;
  close(): Promise<void>;
}

/** Takes what has come so far; gives back what it didn't use. */
type Speak = (data: Buffer, socket: Socket) => Buffer;

async function listen(makeSpeaker: (port: () => number) => () => Speak): Promise<ProtocolStub> {
  const sockets = new Set<Socket>();
  const chunks: Buffer[] = [];
  let port = 0;
  const newSpeaker = makeSpeaker(() => port);
  const server = createServer((socket) => {
    const speak = newSpeaker();
    let rest = Buffer.alloc(0);
    sockets.add(socket);
    socket.on('error', () => {});
    socket.on('data', (chunk: Buffer) => {
      chunks.push(chunk);
      rest = Buffer.from(speak(Buffer.concat([rest, chunk]), socket));
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  port = (server.address() as AddressInfo).port;
  return {
    port,
    received: () => Buffer.concat(chunks),
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        for (const socket of sockets) socket.destroy();
      }),
  };
}

const int16 = (value: number) => Buffer.from([(value >> 8) & 0xff, value & 0xff]);
function int32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeInt32BE(value);
  return bytes;
}
const zeros = (count: number) => Buffer.alloc(count);

/** https://www.postgresql.org/docs/current/protocol-message-formats.html */
export function startPostgres(): Promise<ProtocolStub> {
  const message = (type: string, body: Buffer) => Buffer.concat([Buffer.from(type), int32(body.length + 4), body]);
  const ready = message('Z', Buffer.from('I'));
  return listen(() => () => {
    let started = false;
    return (data, socket) => {
      let at = data;
      for (;;) {
        const header = started ? 1 : 0;
        if (at.length < header + 4 || at.length < header + at.readInt32BE(header)) return at;
        const type = started ? String.fromCharCode(at[0]!) : 'startup';
        at = at.subarray(header + at.readInt32BE(header));
        started = true;
        if (type === 'startup') socket.write(Buffer.concat([message('R', zeros(4)), ready]));
        if (type === 'Q') socket.write(Buffer.concat([message('C', Buffer.from('UPDATE 1\0')), ready]));
        if (type === 'X') socket.end();
      }
    };
  });
}

/** https://redis.io/docs/latest/develop/reference/protocol-spec/ */
export function startRedis(): Promise<ProtocolStub> {
  return listen(() => () => (data, socket) => {
    let at = 0;
    for (;;) {
      const command = /^\*(\d+)\r\n/.exec(data.toString('latin1', at));
      if (command === null) return data.subarray(at);
      let end = at + command[0].length;
      for (let i = 0; i < Number(command[1]); i++) {
        const size = /^\$(\d+)\r\n/.exec(data.toString('latin1', end));
        if (size === null) return data.subarray(at);
        end += size[0].length + Number(size[1]) + 2;
      }
      if (end > data.length) return data.subarray(at);
      at = end;
      socket.write('+OK\r\n');
    }
  });
}

const [PRODUCE, METADATA, API_VERSIONS] = [0, 3, 18];
const text = (value: string) => Buffer.concat([int16(value.length), Buffer.from(value)]);
const list = (...items: readonly Buffer[]) => Buffer.concat([int32(items.length), ...items]);

/** A broker of one topic with one partition. https://kafka.apache.org/protocol */
export function startKafkaBroker(topic: string): Promise<ProtocolStub> {
  const answers: Readonly<Record<number, (version: number, port: number) => Buffer>> = {
    [API_VERSIONS]: (version) => {
      const versions = [
        [PRODUCE, 3, 3],
        [METADATA, 0, 0],
        [API_VERSIONS, 0, 2],
      ] as const;
      const keys = list(...versions.map((one) => Buffer.concat(one.map(int16))));
      return Buffer.concat([int16(0), keys, version > 0 ? zeros(4) : zeros(0)]);
    },
    [METADATA]: (_version, port) => {
      const partition = Buffer.concat([int16(0), int32(0), int32(1), list(int32(1)), list(int32(1))]);
      return Buffer.concat([
        list(Buffer.concat([int32(1), text('127.0.0.1'), int32(port)])),
        list(Buffer.concat([int16(0), text(topic), list(partition)])),
      ]);
    },
    // Partition, no error, offset 0, no time of its own.
    [PRODUCE]: () => {
      const partition = Buffer.concat([int32(0), int16(0), zeros(8), Buffer.alloc(8, 0xff)]);
      return Buffer.concat([list(Buffer.concat([text(topic), list(partition)])), zeros(4)]);
    },
  };
  return listen((port) => () => (data, socket) => {
    let at = data;
    while (at.length >= 4 && at.length >= 4 + at.readInt32BE()) {
      const [size, key, version] = [at.readInt32BE(), at.readInt16BE(4), at.readInt16BE(6)];
      const body = answers[key]?.(version, port()) ?? zeros(0);
      socket.write(Buffer.concat([int32(body.length + 4), at.subarray(8, 12), body]));
      at = at.subarray(4 + size);
    }
    return at;
  });
}
