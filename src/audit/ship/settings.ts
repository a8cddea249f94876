/**
 * Where the trail is sent, from the standard variables, those of logs before the general ones.
 * https://opentelemetry.io/docs/specs/otel/protocol/exporter/
 */
import { describeValue, RiskTrailError } from '../../core/errors.ts';

/** How records are encoded in a request. */
export type ShipProtocol = 'http/json' | 'http/protobuf';

/** Where and how the trail is sent. Plain data: it is handed to a worker thread. */
export interface ShipperSettings {
  /** The whole address, `…/v1/logs` included; may hold a user and a password. */
  readonly endpoint: string;
  readonly protocol: ShipProtocol;
  readonly compression: 'none' | 'gzip';
  /** Names in lower case. */
  readonly headers: Readonly<Record<string, string>>;
  /** For one request, the whole answer included. */
  readonly timeoutMs: number;
  /** Path of a PEM file with the authorities to trust instead of the usual ones. */
  readonly certificateFile?: string | undefined;
  /** Path of the client's private key, PEM. */
  readonly clientKeyFile?: string | undefined;
  /** Path of the client's certificate, PEM. */
  readonly clientCertificateFile?: string | undefined;
  /** A request holds at most so many records … */
  readonly maxBatchRecords: number;
  /** … and so many bytes of their lines; a longer record goes alone. */
  readonly maxBatchBytes: number;
  /** After the first failure at most so long a pause, doubled with each further one … */
  readonly backOffMs: number;
  /** … up to this. */
  readonly maxBackOffMs: number;
}

/** Settings that no standard variable knows. */
export const DEFAULT_SHIPPER = Object.freeze({
  maxBatchRecords: 4_000,
  maxBatchBytes: 2_000_000,
  backOffMs: 1_000,
  maxBackOffMs: 30_000,
});

type Env = Readonly<Record<string, string | undefined>>;

const DEFAULT_BASE = 'http://localhost:4318';
const LOGS_PATH = 'v1/logs';
const DEFAULT_TIMEOUT_MS = 10_000;
/** Names that the client sets itself: giving them would break its requests. */
const OWN_HEADERS = new Set(['content-length', 'content-type', 'content-encoding', 'transfer-encoding', 'connection']);

/** A variable that is set: its name, that of logs before the general one, and its text. */
interface Found {
  readonly name: string;
  readonly text: string;
}

function find(env: Env, what: string): Found | undefined {
  for (const name of [`OTEL_EXPORTER_OTLP_LOGS_${what}`, `OTEL_EXPORTER_OTLP_${what}`]) {
    const text = env[name]?.trim();
    if (text !== undefined && text !== '') return { name, text };
  }
  return undefined;
}

function wrong(name: string, expected: string, text: string): RiskTrailError {
  return new RiskTrailError('OPTION_INVALID', { field: name, expected, received: describeValue(text) });
}

/** Whether the trail is to be sent: an endpoint is named or the exporter `otlp` asked for, and not another or none. */
function isWanted(env: Env): boolean {
  const named = (env['OTEL_LOGS_EXPORTER'] ?? '')
    .split(',')
    .map((name) => name.trim().toLowerCase())
    .filter((name) => name !== '');
  if (named.length === 0) return find(env, 'ENDPOINT') !== undefined;
  return named.includes('otlp') && !named.includes('none');
}

/**
 * Reads the settings of the shipper.
 * @param endpoint an address that stands in for the variables' one, taken as it is: `http://collector:4318/v1/logs`
 * @returns undefined where nothing asks for the trail to be sent
 * @throws RiskTrailError OPTION_INVALID naming the variable
 */
export function readShipperSettings(env: Env, endpoint?: string): ShipperSettings | undefined {
  if (endpoint === undefined && !isWanted(env)) return undefined;
  const clientKey = find(env, 'CLIENT_KEY');
  const clientCertificate = find(env, 'CLIENT_CERTIFICATE');
  if ((clientKey === undefined) !== (clientCertificate === undefined)) {
    const present = (clientKey ?? clientCertificate)!;
    const missing = clientKey === undefined ? 'CLIENT_KEY' : 'CLIENT_CERTIFICATE';
    throw wrong(`OTEL_EXPORTER_OTLP_${missing}`, `a path, since ${present.name} is set`, '');
  }
  return Object.freeze({
    endpoint: endpoint === undefined ? readEndpoint(env) : checkAddress(env, 'endpoint', endpoint).href,
    protocol: readChoice(find(env, 'PROTOCOL'), ['http/json', 'http/protobuf'], 'http/json'),
    compression: readChoice(find(env, 'COMPRESSION'), ['none', 'gzip'], 'none'),
    headers: readHeaders(env),
    timeoutMs: readTimeout(find(env, 'TIMEOUT')),
    certificateFile: find(env, 'CERTIFICATE')?.text,
    clientKeyFile: clientKey?.text,
    clientCertificateFile: clientCertificate?.text,
    ...DEFAULT_SHIPPER,
  });
}

function readEndpoint(env: Env): string {
  const own = env['OTEL_EXPORTER_OTLP_LOGS_ENDPOINT']?.trim();
  if (own) return checkAddress(env, 'OTEL_EXPORTER_OTLP_LOGS_ENDPOINT', own).href;
  const base = env['OTEL_EXPORTER_OTLP_ENDPOINT']?.trim() || DEFAULT_BASE;
  const url = checkAddress(env, 'OTEL_EXPORTER_OTLP_ENDPOINT', base);
  url.pathname = `${url.pathname.replace(/\/*$/, '')}/${LOGS_PATH}`;
  return url.href;
}

/** An address without a scheme has one by `…_INSECURE`, which means nothing otherwise. */
function checkAddress(env: Env, name: string, text: string): URL {
  const insecure = find(env, 'INSECURE');
  if (insecure !== undefined && !/^(true|false)$/i.test(insecure.text)) {
    throw wrong(insecure.name, 'true or false', insecure.text);
  }
  const bare = !text.includes('://');
  const scheme = bare && insecure !== undefined ? (/^true$/i.test(insecure.text) ? 'http://' : 'https://') : '';
  const url = URL.parse(`${scheme}${text}`);
  if (url === null || (url.protocol !== 'http:' && url.protocol !== 'https:') || url.hash !== '') {
    throw wrong(name, 'an address that begins with http:// or https://', withoutSecrets(text));
  }
  return url;
}

/** An address as it may be shown: without user, password and query. */
export function withoutSecrets(address: string): string {
  return address.replace(/\/\/[^/@]*@/, '//').replace(/[?#].*$/s, '');
}

function readChoice<const T extends string>(found: Found | undefined, choices: readonly T[], fallback: T): T {
  if (found === undefined) return fallback;
  const choice = choices.find((one) => one === found.text.toLowerCase());
  if (choice === undefined) throw wrong(found.name, choices.map((one) => `'${one}'`).join(' or '), found.text);
  return choice;
}

function readTimeout(found: Found | undefined): number {
  if (found === undefined) return DEFAULT_TIMEOUT_MS;
  const timeoutMs = Number(found.text);
  if (!/^\d+$/.test(found.text) || timeoutMs < 1 || timeoutMs > 2 ** 31 - 1) {
    throw wrong(found.name, 'milliseconds, an integer ≥ 1', found.text);
  }
  return timeoutMs;
}

/** `name=value,name=value`, percent-encoded. Values are secrets: no message shows them. */
function readHeaders(env: Env): Readonly<Record<string, string>> {
  const headers: Record<string, string> = {};
  for (const variable of ['OTEL_EXPORTER_OTLP_HEADERS', 'OTEL_EXPORTER_OTLP_LOGS_HEADERS']) {
    for (const [index, pair] of (env[variable] ?? '').split(',').entries()) {
      if (pair.trim() === '') continue;
      const at = pair.indexOf('=');
      try {
        const name = decodeURIComponent(pair.slice(0, at).trim()).toLowerCase();
        const value = decodeURIComponent(pair.slice(at + 1).trim());
        // An import of it loads the whole of undici, at every start.
        const http = process.getBuiltinModule('node:http');
        http.validateHeaderName(name);
        http.validateHeaderValue(name, value);
        if (at < 0 || OWN_HEADERS.has(name)) throw new Error(name);
        headers[name] = value;
      } catch {
        const expected = 'name=value,name=value, percent-encoded, with names of HTTP headers';
        throw wrong(variable, expected, `an entry ${index + 1} that is none`);
      }
    }
  }
  return Object.freeze(headers);
}
