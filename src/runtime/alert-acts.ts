/**
 * What people do about alerts beside a running service: `risktrail alerts ack` and `risktrail serve` record it in a small
 * stream of its own in the data directory, which is opened, signed and closed for it. New streams are looked into as they come.
 */
import { readdirSync } from 'node:fs';
import { open, readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { ACT_STATUS, type AlertRecord, byWhom } from '../alerting/open-alerts.ts';
import { listSegments } from '../audit/journal/segment-files.ts';
import { STREAMS_DIRECTORY, streamDirectory } from '../audit/journal/streams.ts';
import { intactEvent, placeOf } from '../state/stream-record.ts';

/** What was recorded of an act. */
export interface RecordedAlertAct {
  /** The alert's. */
  readonly id: string;
  readonly status: AlertRecord['status'];
  readonly by: ReturnType<typeof byWhom>;
}

export interface AlertActsOptions {
  readonly dataDir: string;
  /** Service of the alerts. */
  readonly service: string;
  /** UUID of the process's own stream. */
  readonly ownId: string;
}

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/;
/** More than a stream for one act ever takes. */
const READ_BYTES = 1 << 16;
/** A stream that is not closed after so many looks is that of another process. */
const MAX_LOOKS = 10;
const LISTS = 2;
const CLOSED = '"eventName":"audit.stream_closed"';

/** Looks for acts in the streams that come after it was made. */
export class AlertActs {
  readonly #options: AlertActsOptions;
  readonly #directory: string;
  readonly #known: Set<string>;
  /** Streams that are not closed yet, with how often they were looked at. */
  readonly #open = new Map<string, number>();
  /** When the folder was changed last, and how often it was listed since. */
  #changed: bigint | undefined;
  #lists = 0;
  #looking: Promise<readonly RecordedAlertAct[]> | undefined;

  constructor(options: AlertActsOptions) {
    this.#options = options;
    this.#directory = join(options.dataDir, STREAMS_DIRECTORY);
    this.#known = new Set([...readdirSync(this.#directory), options.ownId]);
  }

  /**
   * The acts that came since the last look, in no order among streams. Where one is not over yet, it is waited for.
   * @throws the system's error where files can't be read
   */
  look(): Promise<readonly RecordedAlertAct[]> {
    this.#looking ??= this.#look().finally(() => {
      this.#looking = undefined;
    });
    return this.#looking;
  }

  async #look(): Promise<readonly RecordedAlertAct[]> {
    const { mtimeNs } = await stat(this.#directory, { bigint: true });
    if (mtimeNs !== this.#changed) this.#lists = 0;
    this.#changed = mtimeNs;
    // Times of files are coarse: what came within one step of them is found by the listing after it.
    if (this.#lists++ < LISTS) {
      for (const id of await readdir(this.#directory)) {
        if (!UUID.test(id) || this.#known.has(id)) continue;
        this.#known.add(id);
        this.#open.set(id, 0);
      }
    }
    const acts: RecordedAlertAct[] = [];
    for (const [id, looks] of this.#open) {
      const read = await this.#read(id);
      if (read === undefined && looks + 1 < MAX_LOOKS) this.#open.set(id, looks + 1);
      else this.#open.delete(id);
      acts.push(...(read ?? []));
    }
    return acts;
  }

  /** The acts of a stream; undefined where it may still be written. */
  async #read(id: string): Promise<readonly RecordedAlertAct[] | undefined> {
    const text = await firstText(streamDirectory(this.#options.dataDir, id));
    if (!text.includes(CLOSED)) return undefined;
    const stream = `${this.#options.service}/${id}`;
    return text.split('\n').flatMap((line) => {
      const place = line.includes('"eventName":"alert.') ? placeOf(line) : undefined;
      const status = place === undefined ? undefined : ACT_STATUS[place.event];
      const event = status === undefined ? undefined : intactEvent(place!, stream);
      const alert = event?.attributes['alert.id'];
      return typeof alert === 'string' ? [{ id: alert, status: status!, by: byWhom(event!.attributes) }] : [];
    });
  }
}

/** The beginning of a stream; '' where it has none yet, or is gone. */
async function firstText(directory: string): Promise<string> {
  try {
    const [first] = listSegments(directory);
    if (first === undefined || first.sealed) return '';
    await using file = await open(first.path);
    const buffer = Buffer.alloc(READ_BYTES);
    const { bytesRead } = await file.read(buffer, 0, READ_BYTES, 0);
    return buffer.toString('utf8', 0, bytesRead);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return '';
    throw error;
  }
}
