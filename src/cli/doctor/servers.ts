/** What `risktrail doctor` asks of the servers behind the trail. */

import { type Check, fail, ok, reasonOf, warn } from '../../analysis/doctor/check.ts';
import { createOtlpClient } from '../../audit/ship/otlp-client.ts';
import { type ShipperSettings, withoutSecrets } from '../../audit/ship/settings.ts';
import { createSystemClock } from '../../core/clock.ts';
import { readAnswerOf } from './http.ts';

const PROBE_EVENT = 'risktrail.doctor';

/** Sends one record of class telemetry, which no audit trail takes for its own, and tells what came back. */
export async function checkEndpoint(settings: ShipperSettings | undefined): Promise<Check> {
  if (settings === undefined) return ok('OTLP endpoint', 'none is set: the trail stays on this machine');
  const where = withoutSecrets(settings.endpoint);
  const clock = createSystemClock();
  const client = createOtlpClient({ ...settings, protocol: 'http/json', compression: 'none' }, clock);
  const start = clock.monotonic();
  try {
    const answer = await client.send(probe(clock.now()), 1);
    const tookMs = Math.round(clock.monotonic() - start);
    if (answer.kind === 'accepted') return ok('OTLP endpoint', `${where} took a record in ${tookMs} ms`);
    return fail(
      'OTLP endpoint',
      `${where}: ${answer.kind === 'partial' ? 'refused the record: ' : ''}${answer.told}`,
      'see that the Collector runs there, and takes logs by OTLP/HTTP',
    );
  } catch (error) {
    return fail('OTLP endpoint', `${where}: ${reasonOf(error)}`, 'mend OTEL_EXPORTER_OTLP_* as it says');
  } finally {
    client.close();
  }
}

function probe(nowMs: number): Buffer {
  const record = {
    timeUnixNano: `${Math.floor(nowMs)}000000`,
    severityNumber: 5,
    severityText: 'DEBUG',
    eventName: PROBE_EVENT,
    body: { stringValue: 'risktrail doctor looks whether this comes through' },
  };
  const resource = { attributes: [{ key: 'service.name', value: { stringValue: 'risktrail-doctor' } }] };
  return Buffer.from(
    JSON.stringify({
      resourceLogs: [{ resource, scopeLogs: [{ scope: { name: 'risktrail' }, logRecords: [record] }] }],
    }),
  );
}

/** @param url Loki's base address */
export async function checkLoki(url: string): Promise<Check> {
  const answer = await readAnswerOf(`${url}/ready`);
  if (answer.status !== 200)
    return fail('Loki', `${url}: ${answer.text}`, 'see that Loki runs there; it needs some seconds');
  const labels = await readAnswerOf(`${url}/loki/api/v1/labels?since=1h`);
  const names = (labels.json as { data?: string[] } | undefined)?.data ?? [];
  if (!names.includes('service_name')) {
    return warn(
      'Loki',
      'ready, and has no record of the last hour',
      'see that the Collector sends to it: its log names why not',
    );
  }
  return ok('Loki', 'ready, with records of the last hour');
}

/** @param url Tempo's base address */
export async function checkTempo(url: string): Promise<Check> {
  const answer = await readAnswerOf(`${url}/ready`);
  if (answer.status !== 200)
    return fail('Tempo', `${url}: ${answer.text}`, 'see that Tempo runs there; it needs some seconds');
  return ok('Tempo', 'ready');
}

const DATA_SOURCES = ['loki', 'tempo'] as const;
/** Tag of the dashboards that are ours, and folder of the rules. */
const TAG = 'risktrail';

/** @param url Grafana's base address, with user and password where it needs them */
export async function checkGrafana(url: string): Promise<readonly Check[]> {
  const health = await readAnswerOf(`${url}/api/health`);
  const shown = withoutSecrets(url);
  if (health.status !== 200) return [fail('Grafana', `${shown}: ${health.text}`, 'see that Grafana runs there')];
  const checks = [ok('Grafana', `${shown}, version ${(health.json as { version?: string })?.version ?? 'unknown'}`)];
  for (const uid of DATA_SOURCES) {
    const answer = await readAnswerOf(`${url}/api/datasources/uid/${uid}/health`);
    const status = (answer.json as { status?: string } | undefined)?.status;
    checks.push(
      status === 'OK'
        ? ok(`Data source ${uid}`, 'healthy')
        : fail(
            `Data source ${uid}`,
            answer.text,
            'provision grafana/provisioning/datasources; give a user who may ask',
          ),
    );
  }
  const search = await readAnswerOf(`${url}/api/search?type=dash-db&tag=${TAG}`);
  const boards = Array.isArray(search.json) ? search.json.length : 0;
  checks.push(
    boards > 0
      ? ok('Dashboards', `${boards} are there`)
      : fail('Dashboards', 'none are there', 'provision grafana/provisioning/dashboards and grafana/dashboards'),
  );
  checks.push(rulesCheck((await readAnswerOf(`${url}/api/prometheus/grafana/api/v1/rules`)).json));
  return checks;
}

interface Rule {
  readonly name?: string;
  readonly health?: string;
  readonly lastError?: string;
}

function rulesCheck(json: unknown): Check {
  const groups = (json as { data?: { groups?: { rules?: Rule[] }[] } } | undefined)?.data?.groups ?? [];
  const rules = groups.flatMap(({ rules: list }) => list ?? []);
  const broken = rules.filter(
    ({ health, lastError }) => (health !== 'ok' && health !== 'unknown') || Boolean(lastError),
  );
  const first = broken[0];
  if (first !== undefined) {
    const found = `${broken.length} of ${rules.length} fail; ${first.name}: ${first.lastError || first.health}`;
    return fail('Alert rules', found, 'open the rule in Grafana: its query and its error stand there');
  }
  if (rules.length === 0) return fail('Alert rules', 'none are there', 'provision grafana/provisioning/alerting');
  return ok('Alert rules', `${rules.length} evaluate without error`);
}
