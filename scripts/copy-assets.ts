/** After `tsc` and `bundle.ts`: the files that are not TypeScript go along into `dist/`, and the command becomes executable. */
import { chmodSync, cpSync, existsSync } from 'node:fs';

cpSync('src/demo/data', 'dist/demo/data', { recursive: true });
if (existsSync('dist/cli/main.js')) chmodSync('dist/cli/main.js', 0o755);
