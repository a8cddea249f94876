/** `risktrail alerts`: the alerts of a trail, what is done about them, and what rules would have raised. */
import type { Command } from 'commander';
import type { AlertRecord } from '../../alerting/open-alerts.ts';
import type { AlertRule } from '../../alerting/rule.ts';
import type { AlertActKind } from '../../analysis/alerts.ts';
import { EXIT } from '../exit-codes.ts';
import { createOutput, type Output } from '../output.ts';
import { trailPaths } from '../paths.ts';

interface ListFlags {
  readonly all?: boolean;
  readonly json?: boolean;
  readonly csv?: boolean;
}

interface ActFlags {
  readonly id: string;
  readonly actor: string;
  readonly reason: string;
  readonly key?: string;
  readonly json?: boolean;
}

interface RuleFlags {
  readonly settings?: string;
  readonly json?: boolean;
  readonly csv?: boolean;
}

interface EvaluateFlags extends RuleFlags {
  readonly since?: string;
  readonly until?: string;
  readonly rule?: readonly string[];
}

const EXAMPLES = `
Exit status: 0 good; 1 no such alert is open, or (evaluate) something would have been raised and stands at the end.

Examples:
  $ risktrail alerts list ./risktrail-data
  $ risktrail alerts ack ./risktrail-data --id 019aa41e --actor "A. Trader" --reason "looking at it"
  $ risktrail alerts evaluate ./risktrail-data --since 24h
  $ risktrail alerts rules --settings alerts.yaml
`;

const DIRECTORY = 'data directory (default: RISKTRAIL_DATA_DIR or ./risktrail-data)';
const MAX_CELL = 80;
const ACTS = {
  ack: ['acknowledged', 'say that somebody looks at an alert'],
  resolve: ['resolved', 'say that what an alert was about is over'],
  dismiss: ['dismissed', 'say that an alert is none'],
} as const satisfies Record<string, readonly [AlertActKind, string]>;

/** Adds the commands to the program. @param done told of the exit status */
export function addAlertsCommand(program: Command, done: (status: number) => void): void {
  const alerts = program
    .command('alerts')
    .description('alerts of a trail: list, acknowledge, resolve, dismiss, evaluate');
  alerts.addHelpText('after', EXAMPLES);
  const help = ['-h, --help', 'show this help'] as const;
  alerts
    .command('list')
    .description('show the alerts that are open, the newest last')
    .argument('[path...]', `${DIRECTORY}, or files`)
    .option('--all', 'those that ended, too (the newest thousand)')
    .option('--json', 'JSON lines')
    .option('--csv', 'CSV with a heading')
    .helpOption(...help)
    .action(async (paths: readonly string[], flags: ListFlags) => done(await list(paths, flags, createOutput())));
  for (const [name, [act, what]] of Object.entries(ACTS)) {
    alerts
      .command(name)
      .description(what)
      .argument('[directory]', DIRECTORY)
      .requiredOption('--id <id>', 'the alert, or how its id begins')
      .requiredOption('--actor <name>', 'who does it')
      .requiredOption('--reason <text>', 'why')
      .option('--key <file>', 'private key of the service (default: RISKTRAIL_SIGNING_KEY_FILE or the directory’s own)')
      .option('--json', 'what was recorded, as JSON')
      .helpOption(...help)
      .action(async (directory: string | undefined, flags: ActFlags) =>
        done(await actOn(directory, act, flags, createOutput())),
      );
  }
  alerts
    .command('evaluate')
    .description('run the rules over a trail and show what they raise')
    .argument('[path...]', `${DIRECTORY}, or files`)
    .option('--since <time>', 'from this time on: 2020-03-16, 2020-03-16T14:30:00Z, 24h')
    .option('--until <time>', 'up to this time')
    .option('--rule <id...>', 'only these rules')
    .option('--settings <file>', 'thresholds, YAML or JSON')
    .option('--json', 'JSON lines')
    .option('--csv', 'CSV with a heading')
    .helpOption(...help)
    .action(async (paths: readonly string[], flags: EvaluateFlags) =>
      done(await evaluate(paths, flags, createOutput())),
    );
  alerts
    .command('rules')
    .description('show the rules')
    .option('--settings <file>', 'thresholds, YAML or JSON')
    .option('--json', 'the rules as JSON')
    .option('--csv', 'CSV with a heading')
    .helpOption(...help)
    .action(async (flags: RuleFlags) => done(await rules(flags, createOutput())));
}

async function list(given: readonly string[], flags: ListFlags, output: Output): Promise<number> {
  const { listAlerts } = await import('../../analysis/alerts.ts');
  const alerts = (await listAlerts(trailPaths(given))).filter((alert) => flags.all || isOpen(alert));
  if (flags.json) {
    for (const alert of alerts) await output.write(`${JSON.stringify(asJson(alert))}\n`);
    return EXIT.good;
  }
  if (alerts.length === 0) output.note(flags.all ? 'no alerts' : 'no open alerts');
  const rows = alerts.map((one) => [iso(one.raisedMs), one.status, one.severity, one.id, one.service, one.title]);
  await writeTable(['raised', 'status', 'severity', 'id', 'service', 'title'], rows, flags, output);
  return EXIT.good;
}

/** As CSV, or as a table for people, where there is a row. */
async function writeTable(
  columns: readonly string[],
  rows: readonly (readonly string[])[],
  { csv }: { readonly csv?: boolean },
  output: Output,
): Promise<void> {
  if (csv) {
    const { csvRow } = await import('../../analysis/export.ts');
    await output.write([columns, ...rows].map(csvRow).join(''));
    return;
  }
  if (rows.length === 0) return;
  const { textTable } = await import('../../analysis/text-table.ts');
  await output.write(textTable(columns, rows, MAX_CELL));
}

const isOpen = ({ status }: AlertRecord): boolean => status === 'ACTIVE' || status === 'ACKNOWLEDGED';
const iso = (ms: number): string => new Date(ms).toISOString();

function asJson({ raisedMs, changedMs, ...alert }: AlertRecord): object {
  return { ...alert, raised_at: iso(raisedMs), changed_at: iso(changedMs) };
}

async function actOn(
  directory: string | undefined,
  act: AlertActKind,
  flags: ActFlags,
  output: Output,
): Promise<number> {
  const { listAlerts, recordAlertAct } = await import('../../analysis/alerts.ts');
  const { createSystemClock } = await import('../../core/clock.ts');
  const { createRedactor } = await import('../../telemetry/redaction.ts');
  const [dataDir] = trailPaths(directory === undefined ? [] : [directory]) as [string];
  const open = (await listAlerts([dataDir])).filter(isOpen);
  const found = open.filter(({ id }) => id.startsWith(flags.id));
  const [alert] = found;
  if (alert === undefined || flags.id === '') {
    output.note(
      `risktrail: no open alert has the id ${JSON.stringify(flags.id)}: risktrail alerts list shows those that are`,
    );
    return EXIT.finding;
  }
  if (found.length > 1) {
    output.note(`risktrail: ${found.length} open alerts have ids that begin with ${flags.id}: give more of it`);
    return EXIT.usage;
  }
  const redactor = createRedactor();
  const recordId = await recordAlertAct({
    ...{ dataDir, alert, act, clock: createSystemClock() },
    actor: redactor.text(flags.actor),
    note: redactor.text(flags.reason),
    signingKeyFile: flags.key ?? (process.env['RISKTRAIL_SIGNING_KEY_FILE'] || undefined),
    onError: (error, what) => output.note(`risktrail: ${what}: ${(error as Error).message}`),
  });
  await output.write(
    flags.json
      ? `${JSON.stringify({ id: alert.id, act, record_id: recordId })}\n`
      : `${act}: ${alert.title} (${alert.id}), record ${recordId}\n`,
  );
  return EXIT.good;
}

async function readRulesOf({ settings }: RuleFlags): Promise<readonly AlertRule[]> {
  const { loadAlertRules } = await import('../../runtime/alerts.ts');
  return loadAlertRules(settings === undefined ? {} : { file: settings });
}

async function evaluate(given: readonly string[], flags: EvaluateFlags, output: Output): Promise<number> {
  const { evaluateChosen } = await import('../../analysis/alerts.ts');
  const { parseBound } = await import('../../analysis/time-bound.ts');
  const { createSystemClock } = await import('../../core/clock.ts');
  const { withProgress } = await import('../progress.ts');
  const all = await readRulesOf(flags);
  const clock = createSystemClock();
  const since = flags.since === undefined ? undefined : parseBound('--since', flags.since, 'from', clock);
  const until = flags.until === undefined ? undefined : parseBound('--until', flags.until, 'to', clock);
  const { alerts, records, rules } = await withProgress('evaluating', clock.monotonic, (onProgress) =>
    evaluateChosen(trailPaths(given), all, { only: flags.rule, since, until }, onProgress),
  );
  const status = alerts.some((one) => one.resolved_at === null) ? EXIT.finding : EXIT.good;
  if (flags.json) {
    for (const alert of alerts) await output.write(`${JSON.stringify(alert)}\n`);
    return status;
  }
  const rows = alerts.map((one) => [one.raised_at, one.resolved_at ?? 'stands', one.severity, one.rule, one.title]);
  await writeTable(['raised', 'resolved', 'severity', 'rule', 'title'], rows, flags, output);
  output.note(`${rows.length} alerts over ${records.toLocaleString('en')} records by ${rules.length} rules`);
  return status;
}

async function rules(flags: RuleFlags, output: Output): Promise<number> {
  const { formatDuration, formatThreshold } = await import('../../alerting/text.ts');
  const all = await readRulesOf(flags);
  if (flags.json) {
    await output.write(`${JSON.stringify(all, undefined, 2)}\n`);
    return EXIT.good;
  }
  const rows = all.map((rule) => [
    rule.id,
    rule.severity,
    `${rule.condition.is} ${formatThreshold(rule)}`,
    formatDuration(rule.windowMs),
    rule.forMs === 0 ? 'at once' : formatDuration(rule.forMs),
    rule.groupBy.map(({ attribute }) => attribute).join(', '),
    `docs/runbooks/${rule.runbook}.md`,
  ]);
  await writeTable(['rule', 'severity', 'raised where', 'within', 'for', 'for each', 'runbook'], rows, flags, output);
  return EXIT.good;
}
