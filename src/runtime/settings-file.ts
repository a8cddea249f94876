/** The settings file: JSON, YAML, or a TypeScript or JavaScript module; found and read. Its values are checked elsewhere. */
import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { basename, extname, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { RiskTrailError } from '../core/errors.ts';

/** Names looked for in the working directory, in this order. */
export const SETTINGS_FILE_NAMES = ['json', 'yaml', 'yml', 'ts', 'js', 'mjs'].map((end) => `risktrail.config.${end}`);

/** What a settings file holds, and its name for messages. */
export interface SettingsFile {
  readonly name: string;
  readonly values: unknown;
}

/**
 * Absolute path of the settings file that holds: the named one, which need not exist for this, else the first of
 * {@link SETTINGS_FILE_NAMES} that does.
 */
export function findSettingsFile(cwd: string, named: string | undefined): string | undefined {
  if (named !== undefined && named.trim() !== '') return resolve(cwd, named);
  return SETTINGS_FILE_NAMES.map((name) => resolve(cwd, name)).find((path) => existsSync(path));
}

/**
 * Reads one settings file by its ending: `.json`, `.yaml`, `.yml`, else a module whose default export (or what a function
 * there returns) is the object of settings.
 * @throws RiskTrailError SETTINGS_FILE_UNREADABLE
 */
export async function loadSettingsFile(path: string): Promise<SettingsFile> {
  try {
    return { name: basename(path), values: await load(path) };
  } catch (error) {
    const reason = error instanceof Error ? error.message.split('\n', 1)[0]! : String(error);
    throw new RiskTrailError('SETTINGS_FILE_UNREADABLE', { file: path, reason }, error);
  }
}

async function load(path: string): Promise<unknown> {
  switch (extname(path).toLowerCase()) {
    case '.json':
      return JSON.parse(await readFile(path, 'utf8'));
    case '.yaml':
    case '.yml': {
      // Loaded when used: most services have no YAML file.
      const { parse } = await import('yaml');
      return parse(await readFile(path, 'utf8')) ?? {};
    }
    case '.ts':
    case '.mts':
    case '.js':
    case '.mjs':
    case '.cjs': {
      const loaded = ((await import(pathToFileURL(path).href)) as { default?: unknown }).default;
      if (loaded === undefined) throw new Error('it has no default export');
      return typeof loaded === 'function' ? await (loaded as () => unknown)() : loaded;
    }
    default:
      throw new Error('expected a name that ends in .json, .yaml, .yml, .ts, .js or .mjs');
  }
}
