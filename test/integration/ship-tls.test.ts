import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { readShipperSettings } from '../../src/audit/ship/settings.ts';
import { type ShipResult, shipDirectory } from '../../src/audit/ship/ship-directory.ts';
import { temporaryDirectory } from '../support/journal.ts';
import { MadeStream, upTo } from '../support/made-stream.ts';
import { type Receiver, startReceiver } from '../support/otlp-receiver.ts';

const FILES = join(import.meta.dirname, '../fixtures/tls');
const path = (name: string) => join(FILES, name);
const pem = (name: string) => readFileSync(path(name));
const server = { key: pem('server.key'), cert: pem('server.pem') };
const CA = { OTEL_EXPORTER_OTLP_CERTIFICATE: path('ca.pem') };
const CLIENT = {
  OTEL_EXPORTER_OTLP_CLIENT_KEY: path('client.key'),
  OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE: path('client.pem'),
};

let directory: ReturnType<typeof temporaryDirectory>;
let receiver: Receiver | undefined;
beforeEach(() => {
  directory = temporaryDirectory();
  new MadeStream(directory.path).add(5);
});
afterEach(async () => {
  await receiver?.close();
  directory.remove();
});

function ship(env: Record<string, string>): Promise<ShipResult> {
  const settings = readShipperSettings({ OTEL_EXPORTER_OTLP_ENDPOINT: receiver!.url, ...env })!;
  return shipDirectory(directory.path, { ...settings, backOffMs: 4, maxBackOffMs: 16 }, { giveUpMs: 100 });
}

describe('shipping over TLS', () => {
  it('trusts the authority that the settings name, and no other', async () => {
    receiver = await startReceiver(server);
    const unknown = await ship({});
    expect(unknown).toMatchObject({ complete: false, remainingRecords: 5 });
    expect(unknown.lastError).toMatch(/certificate/);
    const other = await ship({ OTEL_EXPORTER_OTLP_CERTIFICATE: path('other-ca.pem') });
    expect(other).toMatchObject({ complete: false, remainingRecords: 5 });
    expect(receiver.requests).toEqual([]);
    expect(await ship(CA)).toMatchObject({ complete: true, sentRecords: 5 });
    expect(receiver.accepted).toEqual(upTo(5));
  });

  it('refuses a certificate of another host', async () => {
    receiver = await startReceiver({ key: pem('client.key'), cert: pem('client.pem') });
    const result = await ship(CA);
    expect(result).toMatchObject({ complete: false, remainingRecords: 5 });
    expect(result.lastError).toMatch(/altnames|purpose/i);
  });

  it('shows a certificate of its own where the receiver asks for one', async () => {
    receiver = await startReceiver({ ...server, ca: pem('ca.pem'), requestCert: true, rejectUnauthorized: true });
    expect(await ship(CA)).toMatchObject({ complete: false, remainingRecords: 5 });
    expect(await ship({ ...CA, ...CLIENT })).toMatchObject({ complete: true, sentRecords: 5 });
  });

  it('names a file that cannot be read, at the start', async () => {
    receiver = await startReceiver(server);
    await expect(ship({ OTEL_EXPORTER_OTLP_CERTIFICATE: path('none.pem') })).rejects.toMatchObject({
      code: 'FILE_UNREADABLE',
    });
  });
});
