/** The filters that `events` and `tail` share, as options of a command. */
import type { Command } from 'commander';
import type { FilterOptions } from '../analysis/filter.ts';
import { gather } from './option-values.ts';

/** Adds the filters to a command. */
export function addFilterOptions(command: Command): Command {
  return command
    .option('-e, --event <name>', 'event name, * for any text; may be repeated', gather)
    .option('-c, --category <name>', 'category, such as risk, order, error; may be repeated', gather)
    .option('--symbol <symbol>', 'instrument')
    .option('--account <id>', 'account')
    .option('--strategy <id>', 'strategy')
    .option('--session <id>', 'trading session')
    .option('--execution <id>', 'execution of a strategy')
    .option('--correlation <id>', 'correlation id')
    .option('--trace <id>', 'trace id, or its first 8 characters and more')
    .option('--severity <level>', 'lowest severity: TRACE, DEBUG, INFO, WARN, ERROR, FATAL')
    .option('--min-duration <ms>', 'shortest timing.duration_ms')
    .option('-w, --where <condition>', 'attribute=value, also != > >= < <= and ~ (contains); may be repeated', gather);
}

/** What {@link addFilterOptions} yields. */
export type FilterFlags = Omit<FilterOptions, 'since' | 'until'>;
