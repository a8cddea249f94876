/** Files that follow from the code: which of them lag, and writing them. */
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';

/** Path below the root → content. */
export type GeneratedFiles = ReadonlyMap<string, string>;

/** Paths of files that are missing, or differ from what would be generated. */
export function laggingOf(root: string, files: GeneratedFiles): readonly string[] {
  return [...files]
    .filter(([path, content]) => !existsSync(join(root, path)) || readFileSync(join(root, path), 'utf8') !== content)
    .map(([path]) => path);
}

/**
 * Writes what lags, and removes what is generated no more; with `check` only tells of it.
 * @param command what writes them
 * @returns the exit status
 */
export function updateFiles(
  root: string,
  files: GeneratedFiles,
  lagging: readonly string[],
  { check, command }: { readonly check: boolean | undefined; readonly command: string },
): number {
  for (const path of lagging) {
    if (check === true) {
      console.error(`${path} lags behind the code: run ${command}`);
      continue;
    }
    const content = files.get(path);
    if (content === undefined) rmSync(join(root, path));
    else {
      mkdirSync(dirname(join(root, path)), { recursive: true });
      writeFileSync(join(root, path), content);
    }
    console.log(content === undefined ? `removed ${path}` : `wrote ${path}`);
  }
  return check === true && lagging.length > 0 ? 1 : 0;
}
