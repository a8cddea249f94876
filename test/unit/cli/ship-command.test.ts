import { Command, CommanderError } from 'commander';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { addShipCommand } from '../../../src/cli/commands/ship.ts';
import { isRiskTrailError } from '../../../src/core/errors.ts';
import { temporaryDirectory } from '../../support/journal.ts';
import { MadeStream } from '../../support/made-stream.ts';
import { type Receiver, startReceiver } from '../../support/otlp-receiver.ts';

let directory: ReturnType<typeof temporaryDirectory>;
let receiver: Receiver;
let output: string;

beforeEach(async () => {
  directory = temporaryDirectory();
  receiver = await startReceiver();
  output = '';
  vi.spyOn(process.stdout, 'write').mockImplementation((text) => {
    output += text;
    return true;
  });
  vi.spyOn(process.stderr, 'write').mockReturnValue(true);
  for (const name of Object.keys(process.env)) if (name.startsWith('OTEL_')) vi.stubEnv(name, undefined);
});
afterEach(async () => {
  vi.restoreAllMocks();
  vi.unstubAllEnvs();
  process.exitCode = undefined;
  await receiver.close();
  directory.remove();
});

async function run(...args: string[]): Promise<number> {
  let status = -1;
  const program = new Command().exitOverride();
  addShipCommand(program, (one) => {
    status = one;
  });
  for (const command of program.commands) command.copyInheritedSettings(program);
  await program.parseAsync(['ship', ...args], { from: 'user' });
  return status;
}

const endpoint = () => `${receiver.url}/v1/logs`;

describe('risktrail ship', () => {
  it('sends all and ends with 0, and again, with nothing left to send', async () => {
    const { id } = new MadeStream(directory.path).add(12);
    expect(await run(directory.path, '--endpoint', endpoint())).toBe(0);
    expect(output).toContain(id);
    expect(output).toContain(`12 records sent to ${endpoint()}, 0 set aside, 0 left`);
    expect(receiver.accepted).toHaveLength(12);
    expect(await run(directory.path, '--endpoint', endpoint())).toBe(0);
    expect(receiver.requests).toHaveLength(1);
  });

  it('reads the directory and the endpoint from the environment', async () => {
    new MadeStream(directory.path).add(3);
    vi.stubEnv('RISKTRAIL_DATA_DIR', directory.path);
    vi.stubEnv('OTEL_EXPORTER_OTLP_ENDPOINT', receiver.url);
    expect(await run('--json')).toBe(0);
    expect(JSON.parse(output)).toMatchObject({ complete: true, sentRecords: 3, endpoint: endpoint() });
  });

  it('ends with 2 and the last failure where not all could be sent', async () => {
    new MadeStream(directory.path).add(3);
    receiver.reply = () => ({ status: 401, body: 'no token' });
    expect(await run(directory.path, '--endpoint', endpoint(), '--give-up', '1')).toBe(2);
    expect(output).toContain('Last failure');
    expect(output).toContain('401: no token');
    expect(output).toContain('3 left');
  });

  it('asks for an endpoint where there is none', async () => {
    const error = await run(directory.path).catch((one: unknown) => one);
    expect(isRiskTrailError(error, 'OPTION_INVALID') && error.message).toContain('--endpoint');
  });

  it('refuses a wrong number of seconds', async () => {
    await expect(run(directory.path, '--give-up', 'soon')).rejects.toBeInstanceOf(CommanderError);
  });
});
