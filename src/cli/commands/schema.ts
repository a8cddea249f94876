/** `risktrail schema`: the events of the catalogue, and their JSON Schemas. */
import { readFile } from 'node:fs/promises';
import type { Command } from 'commander';
import { EXIT } from '../exit-codes.ts';
import { createOutput, type Output } from '../output.ts';

/** The package's folder of schemas: as far up from the source as from what is compiled of it. */
const SCHEMAS = new URL('../../../schema/', import.meta.url);
/** Name under which the shape of every record is asked for. No event's name is without a dot. */
const RECORD_SHAPE = 'event';

const EXAMPLES = `
Examples:
  $ risktrail schema                    every event, in one line each
  $ risktrail schema 'order.*'          the events of a family
  $ risktrail schema order.placed       the JSON Schema of one event
  $ risktrail schema event              the JSON Schema of every line of events --json
`;

/** Adds the command to the program. @param done told of the exit status */
export function addSchemaCommand(program: Command, done: (status: number) => void): void {
  program
    .command('schema')
    .description('list the events, or print the JSON Schema of one')
    .argument('[event]', 'name of an event, or a pattern with *; "event" is the shape of every record')
    .option('--json', 'the list as JSON')
    .addHelpText('after', EXAMPLES)
    .action(async (event: string | undefined, flags: { json?: boolean }) =>
      done(await showSchema(event, flags.json === true, createOutput())),
    );
}

async function showSchema(event: string | undefined, json: boolean, output: Output): Promise<number> {
  if (event === RECORD_SHAPE) {
    await output.write(await readFile(new URL('event.json', SCHEMAS), 'utf8'));
    return EXIT.good;
  }
  const { EVENTS } = await import('../../catalog/events.ts');
  const { namePattern } = await import('../../analysis/filter.ts');
  const entries = Object.entries(EVENTS).filter(([name]) => event === undefined || namePattern(event)(name));
  if (event !== undefined && entries.length === 0) {
    const { nearest } = await import('../../core/options.ts');
    output.note(`risktrail: the catalogue has no event ${event}${nearest(event, Object.keys(EVENTS))}`);
    return EXIT.usage;
  }
  if (event !== undefined && Object.hasOwn(EVENTS, event)) {
    await output.write(await readFile(new URL(`events/${event}.json`, SCHEMAS), 'utf8'));
    return EXIT.good;
  }
  if (json) {
    const list = entries.map(([name, { brief, severity, category, class: kind }]) => ({
      event: name,
      class: kind,
      severity,
      category,
      brief,
    }));
    await output.write(`${JSON.stringify(list, undefined, 2)}\n`);
    return EXIT.good;
  }
  const width = Math.max(...entries.map(([name]) => name.length));
  await output.write(
    entries
      .map(([name, one]) => `${name.padEnd(width)}  ${one.severity.padEnd(5)}  ${one.class.padEnd(9)}  ${one.brief}\n`)
      .join(''),
  );
  return EXIT.good;
}
