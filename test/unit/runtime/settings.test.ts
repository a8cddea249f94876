import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { defineEvents } from '../../../src/catalog/define-events.ts';
import { createManualClock } from '../../../src/core/clock.ts';
import { isRiskTrailError } from '../../../src/core/errors.ts';
import { readSettings, resolveSettings } from '../../../src/runtime/settings.ts';
import { SETTINGS_FILE_NAMES } from '../../../src/runtime/settings-file.ts';
import { SETTINGS, type SettingDefinition } from '../../../src/runtime/settings-table.ts';

const options = { serviceName: 'momentum-bot' };

/** The message of what it throws. */
function messageOf(run: () => unknown): string {
  try {
    run();
  } catch (error) {
    if (isRiskTrailError(error)) return error.message;
    throw error;
  }
  return '';
}

let cwd: string;
beforeEach(() => {
  cwd = mkdtempSync(join(tmpdir(), 'risktrail-settings-'));
});
afterEach(() => rmSync(cwd, { recursive: true, force: true }));

const write = (name: string, text: string) => writeFileSync(join(cwd, name), text);

describe('settings', () => {
  it('have documented defaults once the service has a name', () => {
    const settings = resolveSettings({ options, env: {}, cwd: '/srv/bot' });
    expect(settings).toMatchObject({
      serviceName: 'momentum-bot',
      dataDir: '/srv/bot/risktrail-data',
      segmentMaxBytes: 10_000_000,
      checkpointRecords: 1000,
      checkpointIntervalMs: 1000,
      recordInputs: 'changes',
      slowThresholdMs: 100,
      redaction: true,
      redactKeys: [],
      redactPatterns: [],
      snapshotIntervalMs: 60_000,
      healthCheckIntervalMs: 60_000,
      attach: false,
      disabled: false,
      auditFailure: 'continue',
      handleSignals: true,
      spanProcessors: [],
      logProcessors: [],
    });
    expect(settings.clock.now()).toBeGreaterThan(0);
    expect(settings.serviceVersion).toBeUndefined();
    expect(Object.isFrozen(settings)).toBe(true);
  });

  it('need the name of the service, and say where it may stand', () => {
    expect(messageOf(() => resolveSettings({ env: {} }))).toBe(
      'serviceName: expected a name in the options, in OTEL_SERVICE_NAME or in the settings file, got nothing',
    );
  });

  it('take the options before the environment before the file before the default', () => {
    const file = {
      name: 'risktrail.config.json',
      values: { checkpointRecords: 3, slowThresholdMs: 30, logLevel: 'warn' },
    };
    const env = { RISKTRAIL_CHECKPOINT_RECORDS: '2', RISKTRAIL_SLOW_THRESHOLD_MS: '20' };
    const settings = resolveSettings({ options: { ...options, checkpointRecords: 1 }, env }, file);
    expect(settings.checkpointRecords).toBe(1);
    expect(settings.slowThresholdMs).toBe(20);
    expect(settings.logLevel).toBe('warn');
    expect(settings.otlpLogLevel).toBe('debug');
  });

  it('do not let a false or a zero be overruled by a weaker source', () => {
    const settings = resolveSettings({
      options: { ...options, redaction: false, snapshotIntervalMs: 0 },
      env: { RISKTRAIL_REDACTION: 'true', RISKTRAIL_SNAPSHOT_INTERVAL_MS: '5' },
    });
    expect(settings.redaction).toBe(false);
    expect(settings.snapshotIntervalMs).toBe(0);
  });

  it('treat an option of undefined as absent', () => {
    const settings = resolveSettings({
      options: { ...options, dataDir: undefined },
      env: { RISKTRAIL_DATA_DIR: '/x' },
    });
    expect(settings.dataDir).toBe('/x');
  });
});

describe('settings from the environment', () => {
  it('are read by their type', () => {
    const env = {
      OTEL_SERVICE_NAME: 'bot',
      RISKTRAIL_ENVIRONMENT: 'paper',
      RISKTRAIL_SEGMENT_MAX_BYTES: '5_000_000',
      RISKTRAIL_CHECKPOINT_INTERVAL_MS: ' 250 ',
      RISKTRAIL_SLOW_THRESHOLD_MS: '12.5',
      RISKTRAIL_REDACTION: 'FALSE',
      RISKTRAIL_DISABLED: '1',
      RISKTRAIL_REDACT_KEYS: 'pin, iban ,',
      RISKTRAIL_AUDIT_FAILURE: 'reduce-only',
      RISKTRAIL_RECORD_INPUTS: 'all',
      RISKTRAIL_SIGNING_KEY_FILE: 'keys/k.pem',
    };
    expect(resolveSettings({ env, cwd: '/srv' })).toMatchObject({
      serviceName: 'bot',
      environment: 'paper',
      segmentMaxBytes: 5_000_000,
      checkpointIntervalMs: 250,
      slowThresholdMs: 12.5,
      redaction: false,
      disabled: true,
      redactKeys: ['pin', 'iban'],
      auditFailure: 'reduce-only',
      recordInputs: 'all',
      signingKeyFile: '/srv/keys/k.pem',
    });
  });

  it('take name, version and environment from OTEL_RESOURCE_ATTRIBUTES, percent-decoded, after their own variables', () => {
    const resource = 'service.name=res%20bot,service.version=1.2,deployment.environment.name=prod';
    expect(resolveSettings({ env: { OTEL_RESOURCE_ATTRIBUTES: resource } })).toMatchObject({
      serviceName: 'res bot',
      serviceVersion: '1.2',
      environment: 'prod',
    });
    const env = { OTEL_RESOURCE_ATTRIBUTES: resource, OTEL_SERVICE_NAME: 'own', RISKTRAIL_ENVIRONMENT: 'paper' };
    expect(resolveSettings({ env })).toMatchObject({ serviceName: 'own', environment: 'paper' });
    expect(
      resolveSettings({ options, env: { OTEL_RESOURCE_ATTRIBUTES: 'a=%,service.version=2' } }).serviceVersion,
    ).toBe(undefined);
  });

  it('count an empty variable as unset', () => {
    expect(resolveSettings({ options, env: { RISKTRAIL_CHECKPOINT_RECORDS: ' ' } }).checkpointRecords).toBe(1000);
  });

  it.each([
    ['RISKTRAIL_CHECKPOINT_RECORDS', 'abc', 'RISKTRAIL_CHECKPOINT_RECORDS: expected an integer ≥ 1, got "abc"'],
    ['RISKTRAIL_CHECKPOINT_RECORDS', '0', 'RISKTRAIL_CHECKPOINT_RECORDS: expected an integer ≥ 1, got "0"'],
    [
      'RISKTRAIL_SLOW_THRESHOLD_MS',
      'Infinity',
      'RISKTRAIL_SLOW_THRESHOLD_MS: expected a finite number ≥ 0, got "Infinity"',
    ],
    ['RISKTRAIL_SLOW_THRESHOLD_MS', '.', 'RISKTRAIL_SLOW_THRESHOLD_MS: expected a finite number ≥ 0, got "."'],
    ['RISKTRAIL_DISABLED', 'yes', 'RISKTRAIL_DISABLED: expected true or false, got "yes"'],
    [
      'RISKTRAIL_AUDIT_FAILURE',
      'stop',
      "RISKTRAIL_AUDIT_FAILURE: expected one of 'continue', 'reduce-only', 'halt', got \"stop\"",
    ],
  ])('refuse %s=%s by name, expectation and value', (name, value, message) => {
    expect(messageOf(() => resolveSettings({ options, env: { [name]: value } }))).toBe(message);
  });

  it('refuse a wrong variable even where an option overrules it', () => {
    const run = () =>
      resolveSettings({ options: { ...options, disabled: true }, env: { RISKTRAIL_DISABLED: 'perhaps' } });
    expect(messageOf(run)).toContain('RISKTRAIL_DISABLED');
  });

  it('refuse an unknown RISKTRAIL_ variable with the nearest right one, and no other variable', () => {
    expect(messageOf(() => resolveSettings({ options, env: { RISKTRAIL_CHECKPOINT_RECORD: '5' } }))).toBe(
      'RISKTRAIL_CHECKPOINT_RECORD: unknown option (did you mean "RISKTRAIL_CHECKPOINT_RECORDS"?)',
    );
    expect(resolveSettings({ options, env: { PATH: '/bin', RISKTRAILS: 'x' } }).serviceName).toBe('momentum-bot');
  });
});

describe('settings from the options', () => {
  it('are refused with their path, what was expected and what came', () => {
    const wrong = { ...options, checkpointRecords: 0.5 };
    expect(messageOf(() => resolveSettings({ options: wrong, env: {} }))).toBe(
      'options.checkpointRecords: expected an integer ≥ 1, got 0.5',
    );
    expect(messageOf(() => resolveSettings({ options: { ...options, redactKeys: ['a', ''] }, env: {} }))).toBe(
      'options.redactKeys[1]: expected a non-empty string, got ""',
    );
  });

  it('name the nearest right key for an unknown one', () => {
    const wrong = { ...options, checkpointRecord: 5 } as never;
    expect(messageOf(() => resolveSettings({ options: wrong, env: {} }))).toBe(
      'options.checkpointRecord: unknown option (did you mean "checkpointRecords"?)',
    );
  });

  it('take what only code can give: clock, own events, processors, patterns', () => {
    const clock = createManualClock(5);
    const events = defineEvents({ events: { 'acme.rebalanced': { brief: 'The book was rebalanced.' } } });
    const settings = resolveSettings({
      options: { ...options, clock, events, redactPatterns: [/x\d/g, 'y+'] },
      env: {},
    });
    expect(settings.clock).toBe(clock);
    expect(settings.events).toBe(events);
    expect(settings.redactPatterns.map((pattern) => pattern.source)).toEqual(['x\\d', 'y+']);
    expect(messageOf(() => resolveSettings({ options: { ...options, clock: {} as never }, env: {} }))).toContain(
      'options.clock: expected a clock with now() and monotonic()',
    );
    expect(messageOf(() => resolveSettings({ options: { ...options, redactPatterns: ['('] }, env: {} }))).toContain(
      'options.redactPatterns[0]: expected a regular expression',
    );
    expect(messageOf(() => resolveSettings({ options: { ...options, events: {} as never }, env: {} }))).toContain(
      'options.events: expected what defineEvents returns',
    );
  });
});

describe('the settings file', () => {
  it.each([
    ['risktrail.config.json', '{"serviceName": "from-file", "checkpointRecords": 7, "redactPatterns": ["a+"]}'],
    ['risktrail.config.yaml', 'serviceName: from-file\ncheckpointRecords: 7\nredactPatterns: ["a+"]\n'],
    ['risktrail.config.yml', 'serviceName: from-file\ncheckpointRecords: 7\nredactPatterns: [a+]\n'],
    [
      'risktrail.config.ts',
      'const n: number = 7;\nexport default { serviceName: "from-file", checkpointRecords: n, redactPatterns: [/a+/] };\n',
    ],
    [
      'risktrail.config.mjs',
      'export default async () => ({ serviceName: "from-file", checkpointRecords: 7, redactPatterns: ["a+"] });\n',
    ],
  ])('%s is found in the working directory and read', async (name, text) => {
    write(name, text);
    const settings = await readSettings({ env: {}, cwd });
    expect(settings).toMatchObject({ serviceName: 'from-file', checkpointRecords: 7 });
    expect(settings.redactPatterns[0]!.source).toBe('a+');
  });

  it('is looked for by all its names, the first of which counts', async () => {
    expect(SETTINGS_FILE_NAMES).toEqual(
      ['json', 'yaml', 'yml', 'ts', 'js', 'mjs'].map((end) => `risktrail.config.${end}`),
    );
    write('risktrail.config.yaml', 'serviceName: yaml\n');
    write('risktrail.config.json', '{"serviceName": "json"}');
    expect((await readSettings({ env: {}, cwd })).serviceName).toBe('json');
  });

  it('may be named by the option, else by the variable', async () => {
    write('a.json', '{"serviceName": "a"}');
    write('b.yaml', 'serviceName: b\n');
    const env = { RISKTRAIL_CONFIG_FILE: 'b.yaml' };
    expect((await readSettings({ env, cwd })).serviceName).toBe('b');
    const settings = await readSettings({ options: { configFile: 'a.json' }, env, cwd });
    expect(settings.serviceName).toBe('a');
    expect(settings.configFile).toBe(join(cwd, 'a.json'));
  });

  it('stands behind the environment and before the defaults', async () => {
    write('risktrail.config.json', '{"serviceName": "file", "logLevel": "error", "slowThresholdMs": 1}');
    const settings = await readSettings({ env: { RISKTRAIL_LOG_LEVEL: 'fatal' }, cwd });
    expect(settings).toMatchObject({ serviceName: 'file', logLevel: 'fatal', slowThresholdMs: 1 });
  });

  it.each([
    [
      'risktrail.config.yaml',
      'checkpointRecord: 5\n',
      'risktrail.config.yaml: checkpointRecord: unknown option (did you mean "checkpointRecords"?)',
    ],
    ['risktrail.config.json', '{"logLevel": "loud"}', 'risktrail.config.json: logLevel: expected one of'],
    ['risktrail.config.json', '[]', 'risktrail.config.json: options: expected an object of options'],
    ['risktrail.config.json', '{', 'the settings file cannot be used'],
    ['risktrail.config.mjs', 'export const x = 1;', 'it has no default export'],
  ])('%s with %j is refused', async (name, text, message) => {
    write(name, text);
    await expect(readSettings({ options, env: {}, cwd })).rejects.toThrow(message);
  });

  it('must be there when it is named, and of a known kind', async () => {
    await expect(readSettings({ options: { ...options, configFile: 'no.json' }, env: {}, cwd })).rejects.toMatchObject({
      code: 'SETTINGS_FILE_UNREADABLE',
    });
    write('x.toml', '');
    await expect(readSettings({ options: { ...options, configFile: 'x.toml' }, env: {}, cwd })).rejects.toThrow(
      '.yaml',
    );
  });
});

describe('the table of settings', () => {
  it('has defaults that pass their own checks', () => {
    for (const [key, setting] of Object.entries<SettingDefinition>(SETTINGS)) {
      if (setting.default !== undefined) expect(setting.check.accepts(setting.default), key).toBe(true);
    }
  });

  it('names each variable once, ours by the key', () => {
    const variables = Object.entries<SettingDefinition>(SETTINGS).filter(([, { variable }]) => variable !== undefined);
    for (const [key, { variable }] of variables) {
      if (variable === 'OTEL_SERVICE_NAME') continue;
      expect(variable).toBe(`RISKTRAIL_${key.replace(/[A-Z]/g, (letter) => `_${letter}`).toUpperCase()}`);
    }
    expect(new Set(variables.map(([, { variable }]) => variable)).size).toBe(variables.length);
  });
});
