/** What stands in a trail's directory. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

/** All its files but the keys, as one text of a character for each byte. */
export function allBytes(directory: string): string {
  return readdirSync(directory, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && !entry.name.endsWith('.pem'))
    .map((entry) => readFileSync(join(entry.parentPath, entry.name), 'latin1'))
    .join('\n');
}
