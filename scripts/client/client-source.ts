/** The TypeScript client as text: types and methods from an OpenAPI document, over what is the same for every document. */

interface Schema {
  readonly $ref?: string;
  readonly type?: string | readonly string[];
  readonly enum?: readonly unknown[];
  readonly items?: Schema;
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly required?: readonly string[];
  readonly additionalProperties?: boolean | Schema;
  readonly description?: string;
  readonly default?: unknown;
}

interface Parameter {
  readonly name: string;
  readonly in: 'path' | 'query';
  readonly required?: boolean;
  readonly schema: Schema;
  readonly description?: string;
}

type Content = Readonly<Record<string, { readonly schema: Schema }>>;

interface Operation {
  readonly operationId?: string;
  readonly summary?: string;
  readonly description?: string;
  readonly parameters?: readonly Parameter[];
  readonly requestBody?: { readonly content: Content };
  readonly responses: Readonly<Record<string, { readonly content?: Content }>>;
}

const quoteName = (name: string): string => (/^[A-Za-z_$][\w$]*$/.test(name) ? name : JSON.stringify(name));
const comment = (text: string | undefined, indent = ''): string =>
  text === undefined || text === '' ? '' : `${indent}/** ${text.replaceAll('*/', '* /')} */\n`;

/** A schema as a type. */
function typeOf(schema: Schema | undefined): string {
  if (schema === undefined) return 'unknown';
  if (schema.$ref !== undefined) return schema.$ref.split('/').at(-1)!;
  if (schema.enum !== undefined) return schema.enum.map((value) => JSON.stringify(value)).join(' | ');
  if (schema.type === undefined) return 'unknown';
  const types = [schema.type].flat().map((type) => plainType(type as string, schema));
  return types.join(' | ');
}

function plainType(type: string, schema: Schema): string {
  switch (type) {
    case 'integer':
    case 'number':
      return 'number';
    case 'array':
      return `readonly (${typeOf(schema.items)})[]`;
    case 'object':
      return objectType(schema);
    default:
      return type;
  }
}

function objectType({ properties = {}, required = [], additionalProperties }: Schema): string {
  const members = Object.entries(properties).map(
    ([name, schema]) =>
      `${comment(schema.description, '  ')}  readonly ${quoteName(name)}${required.includes(name) ? '' : '?'}: ${typeOf(schema)}${required.includes(name) ? '' : ' | undefined'};`,
  );
  const known = `{\n${members.join('\n')}\n}`;
  if (additionalProperties === undefined || additionalProperties === false) return known;
  const rest = `{ readonly [name: string]: ${additionalProperties === true ? 'unknown' : typeOf(additionalProperties)} }`;
  return members.length === 0 ? rest : `${known} & ${rest}`;
}

const capital = (name: string): string => `${name[0]!.toUpperCase()}${name.slice(1)}`;

/** Types and the method of one operation. */
function operationSource(path: string, method: string, operation: Operation): { types: string; method: string } {
  const name = operation.operationId!;
  const parameters = operation.parameters ?? [];
  const body = operation.requestBody?.content['application/json']?.schema;
  const inputs: Schema = {
    type: 'object',
    properties: {
      ...Object.fromEntries(
        parameters.map((one) => [
          one.name,
          { ...one.schema, ...(one.description === undefined ? {} : { description: one.description }) },
        ]),
      ),
      ...body?.properties,
    },
    required: [...parameters.filter((one) => one.required === true).map((one) => one.name), ...(body?.required ?? [])],
  };
  const [type, answer] = Object.entries(operation.responses['200']?.content ?? {})[0] ?? [
    'application/json',
    undefined,
  ];
  const inputType = `${capital(name)}Input`;
  const answerType = `${capital(name)}Answer`;
  const hasInput = Object.keys(inputs.properties ?? {}).length > 0;
  const isRequired = (inputs.required ?? []).length > 0;
  const types = [
    hasInput ? `/** What \`${name}\` is asked. */\nexport type ${inputType} = ${typeOf(inputs)};\n` : '',
    type === 'application/json'
      ? `/** What \`${name}\` answers. */\nexport type ${answerType} = ${typeOf(answer?.schema)};\n`
      : '',
  ].join('\n');
  const namesIn = (place: string) =>
    JSON.stringify(parameters.filter((one) => one.in === place).map((one) => one.name));
  const call = `${JSON.stringify(method.toUpperCase())}, ${JSON.stringify(path)}, ${hasInput ? 'input' : '{}'}, { path: ${namesIn('path')}, query: ${namesIn('query')}, hasBody: ${body !== undefined} }, options`;
  const input = hasInput ? `input: ${inputType}${isRequired ? '' : ' = {}'}, ` : '';
  const told = comment([operation.summary, operation.description].filter(Boolean).join(' '), '  ');
  const [kind, result] =
    type === 'application/json'
      ? [`json<${answerType}>`, `Promise<${answerType}>`]
      : type === 'text/event-stream'
        ? ['events', 'AsyncGenerator<TailEvent, void, undefined>']
        : type === 'text/plain'
          ? ['text', 'Promise<string>']
          : ['stream', 'Promise<Response>'];
  return {
    types,
    method: `${told}  ${name}(${input}options: CallOptions = {}): ${result} {\n    return this.#${kind}(${call});\n  }\n`,
  };
}

/** The client's source, not formatted. */
export function clientSource(document: object): string {
  const { components, paths } = document as {
    components: { schemas: Readonly<Record<string, Schema>> };
    paths: Readonly<Record<string, Readonly<Record<string, Operation>>>>;
  };
  const operations = Object.entries(paths).flatMap(([path, methods]) =>
    Object.entries(methods)
      .filter(([, operation]) => operation.operationId !== undefined)
      .map(([method, operation]) => operationSource(path, method, operation)),
  );
  const schemas = Object.entries(components.schemas).map(
    ([name, schema]) =>
      `${comment(schema.description ?? `As the server tells it: ${name}.`)}export type ${name} = ${typeOf(schema)};\n`,
  );
  return [
    HEAD,
    ...schemas,
    ...operations.map(({ types }) => types),
    CLASS_BEGIN,
    ...operations.map(({ method }) => method),
    CLASS_END,
  ].join('\n');
}

const HEAD = `/**
 * The client of the REST server, made by scripts/generate-client.ts from schema/openapi.json: don't edit it. It stands on \`fetch\`
 * alone, and imports nothing.
 * @example
 * import { RiskTrailClient } from 'risktrail/client';
 *
 * const client = new RiskTrailClient({ baseUrl: 'http://127.0.0.1:7117' });
 * const { records } = await client.listEvents({ category: ['risk'], since: '24h' });
 */

/** How a server is reached. */
export interface ClientOptions {
  /** \`http://127.0.0.1:7117\` */
  readonly baseUrl: string;
  /** As \`risktrail serve token\` printed it; needed where the server has a token file. */
  readonly token?: string | undefined;
  /** @default the global fetch */
  readonly fetch?: typeof fetch | undefined;
}

/** How one call is made. */
export interface CallOptions {
  readonly signal?: AbortSignal | undefined;
  /** \`Last-Event-ID\` and others. */
  readonly headers?: Readonly<Record<string, string>> | undefined;
}

/** An answer that is no success. */
export class RiskTrailApiError extends Error {
  override readonly name = 'RiskTrailApiError';
  readonly status: number;
  readonly problem: Problem;

  constructor(status: number, problem: Problem) {
    super(\`\${problem.code}: \${problem.detail}\`);
    this.status = status;
    this.problem = problem;
  }
}

/** A record of a live tail. Its id is what a later tail goes on from, as \`Last-Event-ID\`. */
export interface TailEvent {
  readonly id: string;
  readonly record: TrailRecord;
}

interface Places {
  readonly path: readonly string[];
  readonly query: readonly string[];
  readonly hasBody: boolean;
}
`;

const CLASS_BEGIN = `/** A client of one server. Every method throws {@link RiskTrailApiError} where the answer is a problem. */
export class RiskTrailClient {
  readonly #options: ClientOptions;

  constructor(options: ClientOptions) {
    this.#options = options;
  }
`;

const CLASS_END = `  async #ask(method: string, path: string, input: object, places: Places, options: CallOptions): Promise<Response> {
    const values = input as { readonly [name: string]: unknown };
    const address = path.replace(/\\{(\\w+)\\}/g, (_, name: string) => encodeURIComponent(String(values[name])));
    const url = new URL(address, this.#options.baseUrl);
    for (const name of places.query) {
      const value = values[name];
      if (value === undefined) continue;
      for (const one of Array.isArray(value) ? value : [value]) url.searchParams.append(name, String(one));
    }
    const inAddress = new Set([...places.path, ...places.query]);
    const body = Object.fromEntries(Object.entries(values).filter(([name]) => !inAddress.has(name)));
    const { token, fetch: ask = fetch } = this.#options;
    const response = await ask(url, {
      method,
      headers: {
        ...(token === undefined ? {} : { authorization: \`Bearer \${token}\` }),
        ...(places.hasBody ? { 'content-type': 'application/json' } : {}),
        ...options.headers,
      },
      ...(places.hasBody ? { body: JSON.stringify(body) } : {}),
      ...(options.signal === undefined ? {} : { signal: options.signal }),
    });
    if (response.ok) return response;
    throw new RiskTrailApiError(response.status, await problemIn(response));
  }

  async #json<T>(method: string, path: string, input: object, places: Places, options: CallOptions): Promise<T> {
    return (await (await this.#ask(method, path, input, places, options)).json()) as T;
  }

  async #text(method: string, path: string, input: object, places: Places, options: CallOptions): Promise<string> {
    return (await this.#ask(method, path, input, places, options)).text();
  }

  #stream(method: string, path: string, input: object, places: Places, options: CallOptions): Promise<Response> {
    return this.#ask(method, path, input, places, options);
  }

  async *#events(method: string, path: string, input: object, places: Places, options: CallOptions): AsyncGenerator<TailEvent, void, undefined> {
    const { body } = await this.#ask(method, path, input, places, options);
    if (body === null) return;
    let text = '';
    const decoder = new TextDecoder();
    for await (const chunk of body) {
      text += decoder.decode(chunk, { stream: true });
      for (let end = text.indexOf('\\n\\n'); end >= 0; end = text.indexOf('\\n\\n')) {
        const fields = new Map(text.slice(0, end).split('\\n').map((line) => [line.split(': ', 1)[0] as string, line.slice(line.indexOf(': ') + 2)]));
        text = text.slice(end + 2);
        const data = fields.get('data');
        if (data !== undefined) yield { id: fields.get('id') ?? '', record: JSON.parse(data) as TrailRecord };
      }
    }
  }
}

async function problemIn(response: Response): Promise<Problem> {
  try {
    const problem = (await response.json()) as Problem;
    if (typeof problem.code === 'string') return problem;
  } catch {
    // Told below.
  }
  const { status, statusText } = response;
  return { type: 'about:blank', title: statusText, status, detail: \`the server answered \${status} \${statusText}\`, code: 'UNKNOWN' };
}
`;
