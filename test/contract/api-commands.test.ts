import { readFileSync } from 'node:fs';
import type { Command } from 'commander';
import { describe, expect, it } from 'vitest';
import { createProgram } from '../../src/cli/program.ts';

interface Operation {
  readonly parameters?: readonly { readonly name: string }[];
  readonly requestBody?: {
    readonly content: Readonly<Record<string, { readonly schema: { readonly properties: object } }>>;
  };
}

const read = (path: string) => readFileSync(new URL(`../../${path}`, import.meta.url), 'utf8');
const { paths } = JSON.parse(read('schema/openapi.json')) as {
  paths: Readonly<Record<string, Readonly<Record<string, Operation>>>>;
};
/** Command → what the page says of its route. */
const ROWS = new Map(
  [...read('docs/api.md').matchAll(/^\| `([a-z -]+)` \| (.*) \|$/gm)].map(([, command, route]) => [command!, route!]),
);
/** Options that say in which form a terminal shows an answer. */
const FORMS: readonly string[] = [
  '--json',
  '--csv',
  '--html',
  '--no-pager',
  '--output',
  '--file',
  '--threads',
  '--key',
];

function commandsOf(command: Command, before = ''): readonly (readonly [string, Command])[] {
  return command.commands.flatMap((one) => {
    const name = `${before}${one.name()}`;
    const below = commandsOf(one, `${name} `);
    // What has commands of its own and does nothing itself needs no row.
    return name === 'serve' || below.length === 0 ? [[name, one] as const, ...below] : below;
  });
}

const COMMANDS = commandsOf(createProgram(() => {}));
const routesOf = (row: string) => [...row.matchAll(/`(\/v1\/[^`]*)`/g)].map(([, route]) => route!);

function namesOf(route: string): readonly string[] {
  const [operation] = Object.values(paths[route] ?? {});
  const body = Object.values(operation?.requestBody?.content ?? {})[0]?.schema.properties ?? {};
  return [...(operation?.parameters ?? []).map(({ name }) => name), ...Object.keys(body)];
}

describe('the table of commands and routes in docs/api.md', () => {
  it('has a row for every command, and no other', () => {
    expect([...ROWS.keys()].sort()).toEqual(COMMANDS.map(([name]) => name).sort());
  });

  it('names routes that are there, or says why there is none', () => {
    for (const [command, row] of ROWS) {
      const routes = routesOf(row);
      expect([command, routes.filter((route) => paths[route] === undefined)]).toEqual([command, []]);
      if (routes.length === 0) expect([command, row]).toEqual([command, expect.stringMatching(/^none: .{8,}/)]);
    }
  });

  it.each(COMMANDS.filter(([name]) => routesOf(ROWS.get(name) ?? '').length > 0))(
    '%s: each of its options is a parameter of the route, or is spoken of',
    (name, { options }) => {
      const row = ROWS.get(name)!;
      const known = routesOf(row).flatMap(namesOf);
      const missing = options
        .map(({ long }) => long!)
        .filter((long) => !FORMS.includes(long) && !row.includes(`\`${long}\``))
        .filter((long) => !known.includes(long.slice(2).replaceAll('-', '_')));
      expect([name, missing]).toEqual([name, []]);
    },
  );
});
