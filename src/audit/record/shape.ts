/**
 * Shapes: what is the same in every record of one event name and one list of attribute keys, prepared once. The text between
 * two values is one string for the canonical form and one for the line.
 */
import { RESERVED_ATTRIBUTES } from './coerce.ts';
import { utf8Bytes } from './record-bytes.ts';

/** A slot that isn't an attribute of the caller's. */
export const SLOT_RECORD_ID = -1;
export const SLOT_SEQUENCE = -2;
/** The text in front of it is all there is: the stream's name doesn't change. */
const SLOT_CONSTANT = -3;

/**
 * The last value of one slot. Symbols, sides, accounts and strategies come again and again: from the second time on, a value
 * and the text in front of it are copied whole.
 */
export interface SlotMemory {
  value: unknown;
  /** Text in front and value, in the canonical form and in the line; absent until the value came twice in a row. */
  canonical: Uint8Array | undefined;
  otlp: Uint8Array | undefined;
}

/** Text that is copied whole, and the slot whose value follows it; -1 behind the last. */
export interface RunStep {
  readonly canonical: Uint8Array;
  readonly otlp: Uint8Array;
  readonly slot: number;
}

/** What stands between the values that change from record to record, put together once. */
export interface Runs {
  /** One bit for each slot whose remembered text is in `steps`; 0 where there are none. */
  mask: number;
  steps: readonly RunStep[];
  /** The slots that were remembered in the last record, and in how many in a row they were the same. */
  lastMask: number;
  count: number;
  /** In how many records in a row other slots than these were remembered as well. */
  beyond: number;
}

/** Prepared text of one event name and list of keys, as bytes. */
export interface Shape {
  /** The caller's keys, in the caller's order. */
  readonly keys: readonly string[];
  /** What stands in front of each slot's value, in canonical order. */
  readonly canonical: readonly Uint8Array[];
  readonly otlp: readonly Uint8Array[];
  /** Index into `keys`, or one of the SLOT_ constants. */
  readonly slots: readonly number[];
  /** One for each slot. */
  readonly memory: readonly SlotMemory[];
  readonly runs: Runs;
  /** Room for all of that. */
  readonly bytes: number;
  /** Whether the caller gives `audit.record.id`. */
  readonly recordIdKey: boolean;
  /** The canonical text from the body to the severity number. */
  readonly canonicalEvent: Uint8Array;
}

/** Finds shapes, making them where needed. */
export interface ShapeCache {
  /** `undefined` where the name or a key can't be used as it stands. */
  find(eventName: string, attributes: Readonly<Record<string, unknown>>): Shape | undefined;
}

/** Names beyond this push out the oldest: names made up at run time must not fill the memory. */
const MAX_NAMES = 512;
/** Lists of keys kept per name; beyond it the oldest goes. */
const MAX_SHAPES_PER_NAME = 16;

/** @param stream `<service>/<stream UUID>` */
export function createShapeCache(stream: string): ShapeCache {
  const names = new Map<string, Shape[]>();
  const streamText = JSON.stringify(stream);
  return {
    find(eventName, attributes) {
      let shapes = names.get(eventName);
      if (shapes !== undefined) {
        for (let i = 0; i < shapes.length; i++) {
          if (hasKeys(attributes, shapes[i]!.keys)) return shapes[i];
        }
      }
      const keys = Object.keys(attributes);
      if (!isUsable(eventName, keys)) return undefined;
      if (shapes === undefined) {
        if (names.size >= MAX_NAMES) names.delete(names.keys().next().value as string);
        shapes = [];
        names.set(eventName, shapes);
      }
      if (shapes.length >= MAX_SHAPES_PER_NAME) shapes.shift();
      const shape = createShape(eventName, keys, streamText);
      shapes.push(shape);
      return shape;
    },
  };
}

/** More slots have no bit in a mask: their shapes are written slot by slot. */
export const MAX_RUN_SLOTS = 31;
/** So many records in a row must repeat the same values before their texts are put together. */
const RUNS_AFTER = 4;
/** A value that comes twice by chance doesn't call for other texts; one that stays for so many records does. */
const BEYOND_AT_MOST = 32;

/** Whether a record that repeats the remembered values of these slots, a bit for each, is written by runs. */
export function usesRuns(runs: Runs, mask: number): boolean {
  if (runs.mask === 0 || (mask & runs.mask) !== runs.mask) return false;
  runs.beyond = mask === runs.mask ? 0 : runs.beyond + 1;
  return runs.beyond <= BEYOND_AT_MOST;
}

/**
 * Told of the remembered slots of each record that was not written by runs: puts their texts together when they have been
 * the same for a while.
 */
export function considerRuns(shape: Shape, mask: number): void {
  const { runs } = shape;
  runs.count = mask === runs.lastMask ? runs.count + 1 : 1;
  runs.lastMask = mask;
  if (runs.count < RUNS_AFTER || mask === 0) return;
  const steps: RunStep[] = [];
  let canonical: Uint8Array[] = [];
  let otlp: Uint8Array[] = [];
  const end = (slot: number): void => {
    steps.push({ canonical: Buffer.concat(canonical), otlp: Buffer.concat(otlp), slot });
    canonical = [];
    otlp = [];
  };
  for (const [i, slot] of shape.slots.entries()) {
    const remembered = (mask & (1 << i)) === 0 ? undefined : shape.memory[i];
    canonical.push(remembered?.canonical ?? shape.canonical[i]!);
    otlp.push(remembered?.otlp ?? shape.otlp[i]!);
    if (remembered === undefined && slot !== SLOT_CONSTANT) end(i);
  }
  end(-1);
  runs.mask = mask;
  runs.beyond = 0;
  runs.steps = steps;
}

/** Whether these are the keys of `attributes`, in their order. An inherited one counts: such an object gets a new shape. */
function hasKeys(attributes: Readonly<Record<string, unknown>>, keys: readonly string[]): boolean {
  let i = 0;
  for (const key in attributes) if (key !== keys[i++]) return false;
  return i === keys.length;
}

function isUsable(eventName: unknown, keys: readonly string[]): boolean {
  if (typeof eventName !== 'string' || !eventName.isWellFormed()) return false;
  // `audit.coerced` passes: the encoder's slow way has put it in.
  return keys.every((key) => key.isWellFormed() && (key === 'audit.coerced' || !RESERVED_ATTRIBUTES.has(key)));
}

function createShape(eventName: string, keys: readonly string[], streamText: string): Shape {
  const slotOf = new Map<string, number>(keys.map((key, index) => [key, index]));
  slotOf.set('audit.record.id', SLOT_RECORD_ID);
  slotOf.set('audit.sequence.number', SLOT_SEQUENCE);
  slotOf.set('audit.stream', SLOT_CONSTANT);
  const canonical: Uint8Array[] = [];
  const otlp: Uint8Array[] = [];
  const slots: number[] = [];
  const event = JSON.stringify(eventName);
  // RFC 8785 sorts by UTF-16 code units, as `sort` does.
  for (const [index, key] of [...slotOf.keys()].sort().entries()) {
    const name = JSON.stringify(key);
    const slot = slotOf.get(key)!;
    const constant = slot === SLOT_CONSTANT;
    // A value in the line is followed by the brace that ends its pair.
    const between =
      index === 0 ? `,"eventName":${event},"attributes":[` : `${slots.at(-1) === SLOT_CONSTANT ? '' : '}'},`;
    canonical.push(utf8Bytes(`${index === 0 ? '' : ','}${name}:${constant ? streamText : ''}`));
    otlp.push(utf8Bytes(`${between}{"key":${name},"value":${constant ? `{"stringValue":${streamText}}}` : ''}`));
    slots.push(slot);
  }
  // The last pair's brace has the same place in every record: in front of the integrity value.
  if (slots.at(-1) !== SLOT_CONSTANT) {
    canonical.push(utf8Bytes(''));
    otlp.push(utf8Bytes('}'));
    slots.push(SLOT_CONSTANT);
  }
  return {
    keys,
    canonical,
    otlp,
    slots,
    memory: slots.map(() => ({ value: undefined, canonical: undefined, otlp: undefined })),
    runs: { mask: 0, steps: [], lastMask: 0, count: 0, beyond: 0 },
    bytes: [...canonical, ...otlp].reduce((sum, text) => sum + text.length, 0),
    recordIdKey: keys.includes('audit.record.id'),
    canonicalEvent: utf8Bytes(`,"event":${event},"severity":`),
  };
}
