/** `risktrail serve`: the trail over HTTP, in a process of its own; `risktrail serve token` makes a token. */
import type { Command } from 'commander';
import type { Scope } from '../../server/access/tokens.ts';
import { EXIT } from '../exit-codes.ts';
import { gather, parseCount } from '../option-values.ts';
import { createOutput, type Output } from '../output.ts';
import { trailPaths } from '../paths.ts';

interface ServeFlags {
  readonly host?: string;
  readonly port?: number;
  readonly tokenFile?: string;
  readonly auditDir?: string;
  readonly allowHost?: readonly string[];
  readonly key?: string;
  readonly cache?: boolean | string;
  readonly alertSettings?: string;
  readonly threadMemory: number;
  readonly rate: number;
  readonly memory: number;
  readonly timeout: number;
  readonly verifyEvery: number;
}

interface TokenFlags {
  readonly name: string;
  readonly scope?: readonly string[];
  readonly expires?: string;
}

const EXAMPLES = `
Without a token file the server answers this machine alone. Beyond it a token file is required, and a proxy that speaks TLS.
Every access by token is an audit event in the server's own trail: the folder access of the data directory, or --audit-dir.
SIGTERM and Ctrl-C end it in order.

Examples:
  $ risktrail serve ./risktrail-data
  $ risktrail serve token --name grafana >> tokens.txt
  $ risktrail serve ./risktrail-data --host 0.0.0.0 --token-file /etc/risktrail/tokens.json --allow-host trail.example.com
`;

const TOKEN_EXAMPLES = `
Prints the token, which nobody can read again, and the entry for the token file: {"tokens": [ENTRY, …]}.
Scopes: read; acknowledge (to acknowledge, resolve and dismiss alerts).

Example:
  $ risktrail serve token --name ops --scope read --scope acknowledge --expires 2027-01-01T00:00:00Z
`;

/** Adds the command to the program. @param done told of the exit status */
export function addServeCommand(program: Command, done: (status: number) => void): void {
  const serving = program
    .command('serve')
    .description('serve a trail over HTTP: events, reports, state, live tail, metrics')
    .argument('[paths...]', 'data directory or files (default: RISKTRAIL_DATA_DIR or ./risktrail-data)')
    .option('--host <address>', 'address to listen on (default: 127.0.0.1)')
    .option('--port <port>', 'port, 0 for any that is free (default: 7117)', parseCount(0))
    .option('--token-file <file>', 'file of hashed tokens; required beyond this machine')
    .option('--audit-dir <dir>', "data directory of the server's own trail (default: access in the data directory)")
    .option('--allow-host <name>', 'further name by which the server is reached; may be repeated', gather)
    .option('--key <file>', "key that signs what is done about alerts, where it is not the data directory's own")
    .option(
      '--cache [directory]',
      'keep what reports and explanations need of finished segments (default: cache in the trail’s directory)',
    )
    .option('--alert-settings <file>', 'thresholds of the alert rules that are told and evaluated, YAML or JSON')
    .option('--rate <count>', 'requests of one address within a minute, 0 for any number', parseCount(0), 30_000)
    .option('--memory <MiB>', 'memory of each of the two SQL engines', parseCount(64), 512)
    .option(
      '--thread-memory <MiB>',
      'memory of each of the two threads for replays, evaluations and workbooks',
      parseCount(64),
      1024,
    )
    .option('--timeout <seconds>', 'longest SQL query', parseCount(1), 30)
    .option(
      '--verify-every <seconds>',
      'rest between two verifications in the background, 0 for none',
      parseCount(0),
      30,
    )
    .addHelpText('after', EXAMPLES)
    .action(async (paths: readonly string[], flags: ServeFlags) => done(await serve(paths, flags, createOutput())));
  serving
    .command('token')
    .description('make a token, and its entry for the token file')
    .requiredOption('--name <name>', 'who uses it: stands in the audit events of its accesses')
    .option('--scope <scope>', 'read or acknowledge; may be repeated (default: read)', gather)
    .option('--expires <time>', 'not valid from then on, such as 2027-01-01T00:00:00Z')
    .addHelpText('after', TOKEN_EXAMPLES)
    .action(async (flags: TokenFlags) => done(await makeToken(flags, createOutput())));
}

async function serve(given: readonly string[], flags: ServeFlags, output: Output): Promise<number> {
  const { serveTrail } = await import('../../server/serve.ts');
  const { createRedactor } = await import('../../telemetry/redaction.ts');
  const { loadAlertRules } = await import('../../runtime/alerts.ts');
  const redactor = createRedactor();
  const paths = trailPaths(given);
  const rules = await loadAlertRules(flags.alertSettings === undefined ? {} : { file: flags.alertSettings });
  // The program's own listener would end the process at once.
  process.removeAllListeners('SIGINT');
  const stopped = new Promise<string>((resolve) => {
    for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => resolve(signal));
  });
  const server = await serveTrail({
    paths,
    host: flags.host,
    port: flags.port,
    tokenFile: flags.tokenFile,
    auditDir: flags.auditDir,
    allowedHosts: flags.allowHost,
    limits: {
      requestsPerMinute: flags.rate,
      queryMemoryBytes: flags.memory * 2 ** 20,
      queryTimeoutMs: flags.timeout * 1000,
      threadMemoryBytes: flags.threadMemory * 2 ** 20,
    },
    cache: flags.cache,
    rules,
    verifyIntervalMs: flags.verifyEvery * 1000,
    redact: (text) => redactor.text(text),
    signingKeyFile: flags.key ?? (process.env['RISKTRAIL_SIGNING_KEY_FILE'] || undefined),
    onWarning: (text) => output.note(`risktrail: ${text}`),
  });
  const guarded = server.auditDir === undefined ? 'no token needed' : `tokens needed, accesses in ${server.auditDir}`;
  await output.write(`risktrail: serving ${paths.join(' ')} at ${server.url} (${guarded})\n`);
  const signal = await stopped;
  await server.close();
  output.note(`risktrail: ended by ${signal}`);
  return EXIT.good;
}

async function makeToken({ name, scope, expires }: TokenFlags, output: Output): Promise<number> {
  const { createToken } = await import('../../server/access/tokens.ts');
  const { token, entry } = createToken(name, (scope ?? ['read']) as readonly Scope[], expires);
  await output.write(`token: ${token}\nentry: ${JSON.stringify(entry)}\n`);
  return EXIT.good;
}
