import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { findStackBinary, stackBinary } from '../support/stack-binaries.ts';

let directory: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'risktrail-binaries-'));
  vi.stubEnv('RISKTRAIL_STACK_CACHE', join(directory, 'cache'));
  vi.stubEnv('OTELCOL_BIN', '');
  vi.stubEnv('PATH', directory);
  vi.stubEnv('CI', '');
});
afterEach(() => {
  vi.unstubAllEnvs();
  rmSync(directory, { recursive: true, force: true });
});

/** A `go` that says it is of this version, builds nothing, and says so. */
function installGo(version: string): void {
  const go = join(directory, 'go');
  writeFileSync(go, `#!/bin/sh\n[ "$1" = env ] && echo go${version} && exit 0\necho no network\nexit 1\n`);
  chmodSync(go, 0o755);
}

describe('the binary of a server', () => {
  it('is the one that the variable names, which must be there', async () => {
    vi.stubEnv('OTELCOL_BIN', process.execPath);
    expect(await stackBinary('otelcol')).toEqual({ path: process.execPath });
    vi.stubEnv('OTELCOL_BIN', join(directory, 'nothing'));
    await expect(stackBinary('otelcol')).rejects.toThrow('OTELCOL_BIN');
  });

  it.each(['', '1.25.3'])('is missing, with the reason, where Go is "%s"; on CI that is an error', async (version) => {
    if (version !== '') installGo(version);
    const { path, reason } = (await stackBinary('otelcol')) as { path: undefined; reason: string };
    expect([path, reason]).toEqual([undefined, expect.stringMatching(/OTELCOL_BIN.*Go 1\.26/)]);
    expect(findStackBinary('otelcol')).toEqual({ path, reason });
    vi.stubEnv('CI', 'true');
    await expect(stackBinary('otelcol')).rejects.toThrow(reason);
  });

  it('is built where Go is new enough; a failed build says what the builder said', async () => {
    installGo('1.27.0');
    vi.spyOn(console, 'log').mockImplementation(() => {});
    await expect(stackBinary('otelcol')).rejects.toThrow(/cmd\/builder@v0.*no network/s);
  });
});
