import { describe, expect, it } from 'vitest';
import { readShipperSettings } from '../../../../src/audit/ship/settings.ts';
import { isRiskTrailError } from '../../../../src/core/errors.ts';

const BASE = { OTEL_EXPORTER_OTLP_ENDPOINT: 'http://collector:4318' };

function messageOf(env: Record<string, string>): string {
  try {
    readShipperSettings(env);
  } catch (error) {
    if (isRiskTrailError(error, 'OPTION_INVALID')) return error.message;
    throw error;
  }
  throw new Error('nothing was thrown');
}

describe('the settings of the shipper', () => {
  it('are none where nothing asks for shipping', () => {
    expect(readShipperSettings({})).toBeUndefined();
    expect(readShipperSettings({ OTEL_EXPORTER_OTLP_ENDPOINT: ' ' })).toBeUndefined();
    expect(readShipperSettings({ ...BASE, OTEL_LOGS_EXPORTER: 'none' })).toBeUndefined();
    expect(readShipperSettings({ ...BASE, OTEL_LOGS_EXPORTER: 'console' })).toBeUndefined();
  });

  it('have the specified defaults', () => {
    expect(readShipperSettings({ OTEL_LOGS_EXPORTER: 'otlp' })).toMatchObject({
      endpoint: 'http://localhost:4318/v1/logs',
      protocol: 'http/json',
      compression: 'none',
      headers: {},
      timeoutMs: 10_000,
    });
  });

  it.each([
    ['http://collector:4318', 'http://collector:4318/v1/logs'],
    ['http://collector:4318/', 'http://collector:4318/v1/logs'],
    ['https://host/otlp/', 'https://host/otlp/v1/logs'],
    ['https://host/otlp?key=1', 'https://host/otlp/v1/logs?key=1'],
  ])('append the path of logs to the base %s', (base, endpoint) => {
    expect(readShipperSettings({ OTEL_EXPORTER_OTLP_ENDPOINT: base })?.endpoint).toBe(endpoint);
  });

  it('take the address of logs as it is, before the base', () => {
    const env = { ...BASE, OTEL_EXPORTER_OTLP_LOGS_ENDPOINT: 'https://loki/otlp/v1/logs' };
    expect(readShipperSettings(env)?.endpoint).toBe('https://loki/otlp/v1/logs');
    expect(readShipperSettings({ OTEL_EXPORTER_OTLP_LOGS_ENDPOINT: 'http://host:1' })?.endpoint).toBe('http://host:1/');
    expect(readShipperSettings({}, 'http://given:1/x')?.endpoint).toBe('http://given:1/x');
  });

  it('take each variable of logs before the general one', () => {
    const env = {
      ...BASE,
      OTEL_EXPORTER_OTLP_PROTOCOL: 'grpc',
      OTEL_EXPORTER_OTLP_LOGS_PROTOCOL: 'http/protobuf',
      OTEL_EXPORTER_OTLP_TIMEOUT: '1',
      OTEL_EXPORTER_OTLP_LOGS_TIMEOUT: '2500',
      OTEL_EXPORTER_OTLP_COMPRESSION: 'none',
      OTEL_EXPORTER_OTLP_LOGS_COMPRESSION: 'gzip',
      OTEL_EXPORTER_OTLP_CERTIFICATE: '/ca',
      OTEL_EXPORTER_OTLP_CLIENT_KEY: '/key',
      OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE: '/cert',
    };
    expect(readShipperSettings(env)).toMatchObject({
      protocol: 'http/protobuf',
      timeoutMs: 2500,
      compression: 'gzip',
      certificateFile: '/ca',
      clientKeyFile: '/key',
      clientCertificateFile: '/cert',
    });
  });

  it('decode headers, those of logs last', () => {
    const env = {
      ...BASE,
      OTEL_EXPORTER_OTLP_HEADERS: 'Authorization=Bearer%20abc%3D%3D, x-tenant = a%2Cb,',
      OTEL_EXPORTER_OTLP_LOGS_HEADERS: 'X-Tenant=logs=1',
    };
    expect(readShipperSettings(env)?.headers).toEqual({ authorization: 'Bearer abc==', 'x-tenant': 'logs=1' });
  });

  it('give an address without a scheme one only by OTEL_EXPORTER_OTLP_INSECURE', () => {
    const env = { OTEL_EXPORTER_OTLP_ENDPOINT: 'collector:4318' };
    expect(readShipperSettings({ ...env, OTEL_EXPORTER_OTLP_INSECURE: 'true' })?.endpoint).toMatch(/^http:/);
    expect(readShipperSettings({ ...env, OTEL_EXPORTER_OTLP_INSECURE: 'false' })?.endpoint).toMatch(/^https:/);
    expect(messageOf(env)).toContain('OTEL_EXPORTER_OTLP_ENDPOINT');
    expect(readShipperSettings({ ...BASE, OTEL_EXPORTER_OTLP_INSECURE: 'false' })?.endpoint).toMatch(/^http:/);
  });

  it.each([
    ['OTEL_EXPORTER_OTLP_ENDPOINT', 'ftp://x'],
    ['OTEL_EXPORTER_OTLP_LOGS_ENDPOINT', 'http://'],
    ['OTEL_EXPORTER_OTLP_PROTOCOL', 'grpc'],
    ['OTEL_EXPORTER_OTLP_LOGS_COMPRESSION', 'zstd'],
    ['OTEL_EXPORTER_OTLP_TIMEOUT', '0'],
    ['OTEL_EXPORTER_OTLP_TIMEOUT', '1s'],
    ['OTEL_EXPORTER_OTLP_INSECURE', 'yes'],
    ['OTEL_EXPORTER_OTLP_HEADERS', 'no-equals-sign'],
    ['OTEL_EXPORTER_OTLP_HEADERS', 'a b=c'],
    ['OTEL_EXPORTER_OTLP_HEADERS', 'content-length=5'],
  ])('refuse %s=%s by its name', (name, text) => {
    expect(messageOf({ ...BASE, [name]: text })).toContain(name);
  });

  it('refuse a client key without its certificate', () => {
    expect(messageOf({ ...BASE, OTEL_EXPORTER_OTLP_CLIENT_KEY: '/k' })).toContain('CLIENT_CERTIFICATE');
  });

  it('show no secret in a message', () => {
    const headers = messageOf({ ...BASE, OTEL_EXPORTER_OTLP_HEADERS: 'x=%zzsecret' });
    const address = messageOf({ OTEL_EXPORTER_OTLP_ENDPOINT: 'ftp://me:secret@host/?token=secret' });
    expect(headers + address).not.toContain('secret');
  });
});
