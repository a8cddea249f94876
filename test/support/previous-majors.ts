/** Programs that run with the libraries' previous major versions, which stand in a package of their own: `test/previous-majors`. */
import { cpSync, existsSync, mkdirSync, readFileSync, symlinkSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { temporaryDirectory } from './temporary.ts';
import { testVariable } from './test-variables.ts';

/** Which versions of the libraries a program is to find. */
export type Majors = 'current' | 'previous';
export const MAJORS: readonly Majors[] = ['current', 'previous'];

const CURRENT = join(import.meta.dirname, '../../node_modules');
const PREVIOUS = join(import.meta.dirname, '../previous-majors/node_modules');

/** Libraries of which both versions stand in that package, the current one under this name. */
const BESIDE: Readonly<Record<string, string>> = { bunyan: 'bunyan-current' };

/** Libraries of which one major version lives. */
export const ONLY_MAJOR: readonly string[] = ['winston', 'pg', 'kafkajs'];

/**
 * Whether these versions are not there, so that their tests are skipped; with `RISKTRAIL_REQUIRE_PREVIOUS=1` they run, and
 * fail. `npm ci --prefix test/previous-majors` installs them.
 */
export const isMissing = (majors: Majors): boolean =>
  majors === 'previous' && !existsSync(PREVIOUS) && testVariable('RISKTRAIL_REQUIRE_PREVIOUS') !== '1';

export const NOT_INSTALLED = 'the previous versions are not installed: npm ci --prefix test/previous-majors';

function pathOf(library: string, majors: Majors): string {
  if (majors === 'current' && Object.hasOwn(BESIDE, library)) return join(PREVIOUS, BESIDE[library]!);
  return join(majors === 'current' || ONLY_MAJOR.includes(library) ? CURRENT : PREVIOUS, library);
}

/** The version that programs find of a package. */
export function versionOf(library: string, majors: Majors): string {
  return (JSON.parse(readFileSync(join(pathOf(library, majors), 'package.json'), 'utf8')) as { version: string })
    .version;
}

/**
 * A folder with copies of files, from where these packages are found and no others.
 * @param others packages that are found in their current version
 * @returns its path
 */
export function folderWith(
  majors: Majors,
  files: readonly string[],
  libraries: readonly string[],
  others: readonly string[] = [],
): string {
  const folder = temporaryDirectory();
  for (const file of files) cpSync(file, join(folder, basename(file)));
  if (others.length > 0) mkdirSync(join(folder, 'node_modules', dirname(others[0]!)), { recursive: true });
  for (const library of others) symlinkSync(join(CURRENT, library), join(folder, 'node_modules', library));
  for (const library of libraries) {
    const path = join(folder, 'node_modules', library);
    mkdirSync(dirname(path), { recursive: true });
    // Node goes by where a link leads: what stands there under another name is to have its own here.
    if (basename(pathOf(library, majors)) === basename(library)) symlinkSync(pathOf(library, majors), path);
    else cpSync(pathOf(library, majors), path, { recursive: true });
  }
  return folder;
}
