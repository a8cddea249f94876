/**
 * Puts settings together. A setting comes from the options in code, else from the environment, else from the settings file,
 * else from its default; every source is checked, used or not, and what is wrong is named with its source.
 */
import { resolve } from 'node:path';
import { createSystemClock } from '../core/clock.ts';
import { RiskTrailError } from '../core/errors.ts';
import { readOptions } from '../core/options.ts';
import { type Environment, isSet, readEnvironment } from './settings-environment.ts';
import { findSettingsFile, loadSettingsFile, type SettingsFile } from './settings-file.ts';
import { type RiskTrailOptions, SETTINGS, type SettingDefinition } from './settings-table.ts';

export type { RiskTrailOptions } from './settings-table.ts';

type Optional =
  | 'accountId'
  | 'serviceVersion'
  | 'environment'
  | 'signingKeyFile'
  | 'configFile'
  | 'events'
  | 'maxBytes'
  | 'retentionDays'
  | 'retentionMaxBytes'
  | 'retentionMaxSegments';

/** Every setting, resolved: paths absolute, defaults in place. Frozen. */
export type Settings = Readonly<
  { [K in Exclude<keyof RiskTrailOptions, Optional | 'redactPatterns'>]-?: NonNullable<RiskTrailOptions[K]> } & {
    [K in Optional]?: NonNullable<RiskTrailOptions[K]>;
  } & {
    redactPatterns: readonly RegExp[];
  }
>;

type SettingKey = keyof typeof SETTINGS;
const ENTRIES = Object.entries(SETTINGS) as readonly [SettingKey, SettingDefinition][];
const CHECKS = Object.fromEntries(ENTRIES.map(([key, setting]) => [key, setting.check]));
const KEYS = ENTRIES.map(([key]) => key);

/** The sources of settings. `env` is `process.env` and `cwd` the working directory, unless given. */
export interface SettingsSources {
  readonly options?: RiskTrailOptions | undefined;
  readonly env?: Environment | undefined;
  readonly cwd?: string | undefined;
}

/**
 * Finds and reads the settings file, and puts all sources together as {@link resolveSettings} does.
 * @throws RiskTrailError OPTION_INVALID, OPTION_UNKNOWN, SETTINGS_FILE_UNREADABLE
 */
export async function readSettings(sources: SettingsSources = {}): Promise<Settings> {
  const named = sources.options?.configFile ?? (sources.env ?? process.env)['RISKTRAIL_CONFIG_FILE'];
  const path = findSettingsFile(sources.cwd ?? process.cwd(), typeof named === 'string' ? named : undefined);
  return resolveSettings(sources, path === undefined ? undefined : await loadSettingsFile(path));
}

/**
 * Puts the sources together: options before environment before file before defaults.
 * @param file what the settings file holds, where there is one
 * @throws RiskTrailError OPTION_INVALID, OPTION_UNKNOWN: a wrong or unknown key, named with its source
 */
export function resolveSettings(sources: SettingsSources, file?: SettingsFile): Settings {
  const cwd = sources.cwd ?? process.cwd();
  const env = sources.env ?? process.env;
  const fromFile = file === undefined ? {} : readSource(`${file.name}: `, file.values);
  const fromEnv = readEnvironment(env);
  const fromOptions = readSource('options.', sources.options);
  const values: Record<string, unknown> = {};
  for (const [key, setting] of ENTRIES) {
    const value = fromOptions[key] ?? fromEnv[key] ?? fromFile[key] ?? setting.default;
    if (value !== undefined) values[key] = value;
  }
  if (values['serviceName'] === undefined) {
    throw new RiskTrailError('OPTION_INVALID', {
      field: 'serviceName',
      expected: 'a name in the options, in OTEL_SERVICE_NAME or in the settings file',
      received: 'nothing',
    });
  }
  for (const key of ['dataDir', 'signingKeyFile', 'configFile'] as const) {
    if (values[key] !== undefined) values[key] = resolve(cwd, values[key] as string);
  }
  values['clock'] ??= createSystemClock();
  return Object.freeze(values) as Settings;
}

/** Checks one source on its own; absent keys stay absent. */
function readSource(prefix: string, given: unknown): Readonly<Record<string, unknown>> {
  try {
    return readOptions('', given, CHECKS as never, {}, KEYS as never) as Readonly<Record<string, unknown>>;
  } catch (error) {
    if (!(error instanceof RiskTrailError)) throw error;
    throw new RiskTrailError(error.code, { ...error.details, field: `${prefix}${error.details['field']}` });
  }
}

/** The trail's directory where no service is started, as on the command line: the variable, else the default. */
export function dataDirFrom(env: Environment): string {
  const given = env['RISKTRAIL_DATA_DIR'];
  return isSet(given) ? given : SETTINGS.dataDir.default;
}
