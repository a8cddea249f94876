/**
 * Every error that risktrail throws, in one catalogue. `docs/errors.md` lists the same codes; a test keeps both equal.
 * Errors are thrown at start-up, by construction and by commands. Once started, nothing here reaches trading code.
 */

interface ErrorDefinition {
  /** One sentence; `{name}` is replaced by the detail of that name. */
  readonly message: string;
  /** What the caller should do about it. */
  readonly remedy: string;
}

/** code → message and remedy. Add a code here and in `docs/errors.md`. */
export const ERRORS = {
  OPTION_INVALID: {
    message: '{field}: expected {expected}, got {received}',
    remedy: 'Correct the named option; nothing was started or changed.',
  },
  OPTION_UNKNOWN: {
    message: '{field}: unknown option{hint}',
    remedy: 'Remove the key or correct its spelling.',
  },
  NOT_STARTED: {
    message: 'no risktrail runs in this thread',
    remedy: 'Call startRiskTrail() first, and await it.',
  },
  ALREADY_STARTED: {
    message: 'a risktrail of service "{service}" already runs in this thread',
    remedy: 'Use getRiskTrail(), or close the running one first.',
  },
  SIGNING_KEY_UNREADABLE: {
    message: 'the signing key {path} cannot be read: {reason}',
    remedy: 'Check the path and its permissions; the key is a PKCS#8 PEM file.',
  },
  SIGNING_KEY_INVALID: {
    message: 'the signing key {path} is no PKCS#8 PEM of a private key',
    remedy: 'Give a PKCS#8 PEM of an Ed25519 private key (openssl genpkey -algorithm ed25519).',
  },
  AUDIT_DIRECTORY_UNUSABLE: {
    message: 'the data directory {path} cannot be used for the audit journal: {reason}',
    remedy: 'Give a directory in which this process may create and write files.',
  },
  AUDIT_NOT_DURABLE: {
    message: 'audit records are not on disk: {reason}',
    remedy:
      'Free disk space or mend the disk; the trail will say how many records are missing once it can be written again.',
  },
  KILL_NOT_ANSWERED: {
    message: 'no running process of {path} answered the kill switch{reason}',
    remedy: 'Nothing was halted or cancelled. Look at the venue itself, and at `risktrail status` for what runs.',
  },
  INTENT_NOT_DURABLE: {
    message: '{event} is not on disk, and auditFailure refuses what adds risk without it: {reason}',
    remedy: 'Nothing was sent. Mend the disk, or choose auditFailure: continue. Exits are never refused.',
  },
  SIGNING_KEY_NOT_ED25519: {
    message: 'the signing key is no Ed25519 key but {type}',
    remedy: 'Give a PKCS#8 PEM of an Ed25519 private key (openssl genpkey -algorithm ed25519).',
  },
  KEY_NAME_INVALID: {
    message: 'the key name "{name}" is empty or holds white space or a plus sign',
    remedy: "Use the service's name as it stands in audit.stream.",
  },
  PATH_NOT_FOUND: {
    message: '{path}: no such file or directory{hint}',
    remedy: 'Check the path. A trail is a data directory, or files *.jsonl and *.jsonl.zst.',
  },
  FILE_UNREADABLE: {
    message: '{path}: {reason}',
    remedy: 'See that the file can be read by this user.',
  },
  VERIFIED_CHECKPOINT_INVALID: {
    message: '{path} is no verified checkpoint to go on from: {reason}',
    remedy: 'Verify from the beginning, and save it anew with --save-checkpoint.',
  },
  NOTHING_TO_VERIFY: {
    message: '{what}',
    remedy: 'Name a data directory or files that hold audit records.',
  },
  VERIFIER_KEY_MISSING: {
    message: 'there is no verifier key: none was given and no verifier.vkey lies beside the trail',
    remedy: 'Give the key of the service, as text or as a file.',
  },
  VERIFIER_KEY_INVALID: {
    message: 'line {line} of the verifier keys is no key',
    remedy: 'Give lines of the form <name>+<hash>+<base64>, as verifier.vkey holds them.',
  },
  RECORD_NOT_FOUND: {
    message: 'there is no audit record {record} in the trail',
    remedy: 'Give its audit.record.id, or its sequence number with the option stream.',
  },
  STREAM_AMBIGUOUS: {
    message: '{what} may be of several streams: {streams}',
    remedy: 'Name the stream with the option stream.',
  },
  RECORD_NOT_COVERED: {
    message: 'record {sequence} of {stream} is not covered by a checkpoint yet: {newest}',
    remedy: 'Wait for a checkpoint of size {size} or more: the next one, or the one that closes the stream.',
  },
  CHECKPOINT_NOT_FOUND: {
    message: 'there is no signed checkpoint {what}',
    remedy: 'Give the size of one that stands in the trail, or a file that holds its note.',
  },
  PROOF_IMPOSSIBLE: {
    message: 'no proof can be made: {reason}',
    remedy: 'Run risktrail verify: it names what was changed or is missing. Another copy of the trail may be whole.',
  },
  PROOF_UNREADABLE: {
    message: '{path}: neither a tlog-proof nor a consistency proof',
    remedy: 'Give a file that risktrail prove wrote, unchanged.',
  },
  HANDOVER_IMPOSSIBLE: {
    message: 'the key cannot be handed over: {reason}',
    remedy: 'Correct what the message names; nothing was changed.',
  },
  FILE_UNWRITABLE: {
    message: '{path}: {reason}',
    remedy: 'See that the directory is there and can be written by this user.',
  },
  ANCHORS_MISSING: {
    message: '{path}: no signed note in it',
    remedy: 'Name a file of notes, or a directory with such files.',
  },
  LOKI_UNREADABLE: {
    message: 'Loki cannot be read at {url}: {reason}',
    remedy: 'Check the address, its user and the tenant, and that its limits allow the query.',
  },
  DEMO_DATA_MISSING: {
    message: 'the price file {path} of the demo is missing',
    remedy: 'Install the package again: the file is part of it.',
  },
  NO_TRAIL_FILES: {
    message: '{path}: no trail files (*.jsonl, *.jsonl.zst) in it',
    remedy: 'Name the data directory of a service, or the files that a Collector wrote.',
  },
  SETTINGS_FILE_UNREADABLE: {
    message: '{file}: the settings file cannot be used ({reason})',
    remedy: 'Correct the file, or name another with RISKTRAIL_CONFIG_FILE or the option configFile.',
  },
  RESTORE_OTHER_SERVICE: {
    message: 'the trail in {path} is that of service "{found}", not of "{expected}"',
    remedy:
      'Give the service its own data directory, or start it with restore: false to begin a stream beside the others.',
  },
  RESTORE_OTHER_ACCOUNT: {
    message: 'the trail in {path} is that of account "{found}", not of "{expected}"',
    remedy: 'Give each account its own data directory, or start with restore: false to begin anew.',
  },
  RESTORE_TARGET_NOT_EMPTY: {
    message: '{path} cannot be restored to: {reason}',
    remedy: 'Name a directory that is missing or empty, but for a signing key; what is there was not touched.',
  },
  RESTORE_CONFIG_CHANGED: {
    message: '{layer} had other settings before the restart: {differs}',
    remedy: "Give the settings of before, or choose onConfigChange: 'keep' or 'apply'.",
  },
  DUCKDB_MISSING: {
    message: 'SQL over the trail needs the package @duckdb/node-api, which cannot be loaded: {reason}',
    remedy: 'Install it beside risktrail: npm install @duckdb/node-api',
  },
  XLSX_MISSING: {
    message: 'workbooks are written by the package write-excel-file, which cannot be loaded: {reason}',
    remedy: 'Install it beside risktrail: npm install write-excel-file',
  },
  XLSX_TOO_LARGE: {
    message: 'a workbook does not hold {what}: at most {limit}',
    remedy: 'Narrow the filters, or export as csv or parquet.',
  },
  ECHARTS_MISSING: {
    message: 'pages are drawn by the package echarts, which cannot be loaded: {reason}',
    remedy: 'Install it beside risktrail: npm install echarts',
  },
  SQL_INVALID: {
    message: 'the query cannot be run: {reason}',
    remedy: 'The views and their columns are in docs/sql.md; DESCRIBE events tells those of one.',
  },
  SQL_NOT_READ_ONLY: {
    message: 'expected one SELECT, got {received}',
    remedy: 'The trail is read only: one statement, SELECT, WITH, DESCRIBE, SUMMARIZE or EXPLAIN.',
  },
  SQL_TIMEOUT: {
    message: 'the query was stopped after {seconds} s',
    remedy: 'Ask for less, such as fewer columns or a view of one family, or allow more time.',
  },
  SQL_MEMORY: {
    message: 'the query needs more than the {mebibytes} MiB of memory that it may take',
    remedy: 'Ask for less, such as fewer columns or a view of one family, or allow more: --memory, or memoryBytes.',
  },
  REPLAY_NOTHING: {
    message: '{path}: no risk layer was given anything in this part of the trail',
    remedy: 'Name a trail of a service that uses breakers, stops or limits, or a wider range.',
  },
  REPLAY_PARAMETER_UNKNOWN: {
    message: '{parameter}: there is no such parameter{hint}; there are: {known}',
    remedy: 'Correct the name; nothing was replayed.',
  },
  NOTHING_TO_EXPLAIN: {
    message: '{what}',
    remedy: 'Name a time, an event, an order or a position of the trail; risktrail events shows what there is.',
  },
  SERVER_PACKAGES_MISSING: {
    message: 'the REST server needs packages that cannot be loaded: {reason}',
    remedy:
      'Install them beside risktrail: npm install fastify @fastify/swagger @fastify/swagger-ui @fastify/rate-limit',
  },
  SERVER_TOKEN_NEEDED: {
    message: 'listening on {host} lets other machines in, which takes a token file, and none was given',
    remedy: 'Make tokens with risktrail serve token and give --token-file, or listen on 127.0.0.1.',
  },
  TOKEN_FILE_INVALID: {
    message: 'the token file {path} cannot be used: {reason}',
    remedy: 'It is JSON: {"tokens": [ … ]}, each entry as risktrail serve token prints it. Nothing was started.',
  },
  SERVER_CANNOT_LISTEN: {
    message: 'the server cannot listen on {host} port {port}: {reason}',
    remedy: 'Choose another address or port; port 0 is any that is free.',
  },
  SERVER_BUSY: {
    message: '{waiting} long questions are being answered or wait, and no more are taken',
    remedy: 'Ask again in a few seconds.',
  },
  QUESTION_TIMEOUT: {
    message: 'the answer was not there after {seconds} s',
    remedy: 'Ask for less: a shorter range, fewer symbols, or a view of one family.',
  },
  QUESTION_MEMORY: {
    message: 'the answer needs more than the {mebibytes} MiB of memory that it may take',
    remedy: 'Ask for less: a shorter range, fewer settings or records; or allow more: risktrail serve --thread-memory.',
  },
  ANSWER_TOO_LARGE: {
    message: 'the answer has {bytes} characters, and {max} at most are sent',
    remedy: 'Ask for fewer rows or columns, or export the records.',
  },
  ORDER_REFUSED: {
    message: 'order {order} was refused by the rule "{rule}": {code}, {reason}',
    remedy:
      'Nothing was sent. `risktrail events --event risk.order_rule` shows the numbers; `mode: observe` in `orderRules` records without refusing. What only reduces risk is never refused.',
  },
  CIRCUIT_BREAKER_REFUSED: {
    message: 'circuit breaker "{name}" refused the call: {reason}',
    remedy:
      'The function was not run. Wait until the breaker closes, or have a named person reset it; exits pass with { reduces: true }.',
  },
} as const satisfies Record<string, ErrorDefinition>;

export type ErrorCode = keyof typeof ERRORS;

/** Values for the `{name}` places of an error's message. */
export type ErrorDetails = Readonly<Record<string, string | number | boolean>>;

/**
 * The one error class. Match on `code`, not on the class or the message.
 * @example
 * try { trail.circuitBreaker('broker', { failureThreshold: 0 }); }
 * catch (error) { if (isRiskTrailError(error, 'OPTION_INVALID')) … }
 */
export class RiskTrailError extends Error {
  override readonly name = 'RiskTrailError';
  readonly code: ErrorCode;
  readonly details: ErrorDetails;

  constructor(code: ErrorCode, details: ErrorDetails = {}, cause?: unknown) {
    super(
      ERRORS[code].message.replace(/\{(\w+)\}/g, (_, name: string) => String(details[name] ?? '')),
      cause === undefined ? undefined : { cause },
    );
    this.code = code;
    this.details = details;
  }

  /** What the caller should do about it. */
  get remedy(): string {
    return ERRORS[this.code].remedy;
  }
}

/** Whether `error` is ours and, where a code is given, of that code. Works across realms and copies of the package. */
export function isRiskTrailError(error: unknown, code?: ErrorCode): error is RiskTrailError {
  return (
    error instanceof Error &&
    error.name === 'RiskTrailError' &&
    (code === undefined || (error as RiskTrailError).code === code)
  );
}

/** A received value as it should stand in a message: short, quoted where it is a string, never a secret's whole length. */
export function describeValue(value: unknown): string {
  if (value === undefined) return 'nothing';
  if (typeof value === 'string') return JSON.stringify(value.length > 60 ? `${value.slice(0, 57)}…` : value);
  if (typeof value === 'bigint') return `${value}n`;
  if (typeof value === 'function') return 'a function';
  if (typeof value === 'symbol' || typeof value === 'number' || typeof value === 'boolean' || value === null)
    return String(value);
  let text: string | undefined;
  try {
    text = JSON.stringify(value);
  } catch {
    // Circular: the type says enough.
  }
  if (text === undefined) {
    try {
      return Object.prototype.toString.call(value);
    } catch {
      return 'an object that cannot be read';
    }
  }
  return text.length > 60 ? `${text.slice(0, 57)}…` : text;
}
