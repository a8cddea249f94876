/** Which requests come from a page of somebody else: by the Host header (DNS rebinding) and by the Origin. */
import { isIP } from 'node:net';
import { hostname } from 'node:os';

/** Names of this machine for itself. */
const LOOPBACK = ['localhost', '127.0.0.1', '::1'] as const;

/** Whether an address is of this machine alone. */
export function isLoopback(host: string): boolean {
  const name = host.toLowerCase().replace(/^\[|\]$/g, '');
  return name === 'localhost' || name === '::1' || /^127\.\d{1,3}\.\d{1,3}\.\d{1,3}$/.test(name);
}

/** The name in a Host header, without its port; undefined where it is none. */
export function hostNameOf(header: string | undefined): string | undefined {
  const match = /^(?:\[([0-9a-f:.]+)\]|([^\s:[\]/@?#]+))(?::\d{1,5})?$/i.exec(header ?? '');
  return (match?.[1] ?? match?.[2])?.toLowerCase();
}

/**
 * The test of a Host header.
 * @param bound address that the server listens on
 * @param allowed further names that it is reached by
 */
export function hostTest(bound: string, allowed: readonly string[]): (header: string | undefined) => boolean {
  const names = new Set<string>([...LOOPBACK, ...allowed.map((name) => name.toLowerCase())]);
  const everywhere = bound === '0.0.0.0' || bound === '::';
  if (!isLoopback(bound)) names.add(bound.toLowerCase()).add(hostname().toLowerCase());
  return (header) => {
    const name = hostNameOf(header);
    // A page can make a name point here, but not an address.
    return name !== undefined && (names.has(name) || (everywhere && isIP(name) !== 0));
  };
}

/** Whether a browser says that a page of another origin asks. */
export function isCrossSite(headers: Readonly<Record<string, unknown>>): boolean {
  const { origin, host, 'sec-fetch-site': site } = headers;
  if (site !== undefined && site !== 'same-origin' && site !== 'none') return true;
  if (typeof origin !== 'string') return false;
  try {
    return new URL(origin).host !== host;
  } catch {
    return true;
  }
}
