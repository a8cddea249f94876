/**
 * Runs every benchmark, each in a process of its own, one after the other.
 *
 *     npm run bench              # all
 *     npm run bench emit verify  # some
 */
import { spawnSync } from 'node:child_process';
import { readdirSync } from 'node:fs';

const wanted = process.argv.slice(2);
const files = readdirSync(import.meta.dirname)
  .filter((name) => name.endsWith('.bench.ts'))
  .filter((name) => wanted.length === 0 || wanted.includes(name.replace('.bench.ts', '')));
if (files.length === 0) {
  console.error(`no benchmark of that name: ${wanted.join(', ')}`);
  process.exit(3);
}
for (const file of files) {
  console.log(`## ${file}\n`);
  const { status } = spawnSync(process.execPath, ['--expose-gc', new URL(file, import.meta.url).pathname], {
    stdio: 'inherit',
  });
  if (status !== 0) process.exit(status ?? 1);
  console.log();
}
