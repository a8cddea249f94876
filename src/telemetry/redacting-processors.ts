/** Masking of what others emit: log records and spans of libraries, with the signed URLs of HTTP instrumentations. */
import type { AnyValue, Attributes } from '@opentelemetry/api';
import type { LogRecordProcessor, ReadWriteLogRecord } from '@opentelemetry/sdk-logs';
import type { ReadableSpan, Span, SpanProcessor } from '@opentelemetry/sdk-trace';
import { ATTRIBUTES } from '../catalog/attributes.ts';
import type { AttributeDefinition } from '../catalog/define.ts';
import type { Redactor } from './redaction.ts';

const CATALOGUE: Readonly<Record<string, AttributeDefinition>> = ATTRIBUTES;

const definitionOf = (name: string) => (Object.hasOwn(CATALOGUE, name) ? CATALOGUE[name] : undefined);

/** Masks a bag of attributes; `set` gets those that change. */
function maskEach(attributes: Attributes, redactor: Redactor, set: (name: string, value: unknown) => void): void {
  for (const name of Object.keys(attributes)) {
    const value = attributes[name];
    const masked = redactor.attribute(name, value, definitionOf(name));
    if (masked !== value) set(name, masked);
  }
}

/**
 * Masks attributes and body of log records, in place. Belongs behind the emitter's own processor, whose events are masked
 * already, and in front of everything that exports.
 * @param wants records to be masked; default all
 */
export class RedactingLogRecordProcessor implements LogRecordProcessor {
  readonly #redactor: Redactor;
  readonly #wants: (record: ReadWriteLogRecord) => boolean;

  constructor(redactor: Redactor, wants: (record: ReadWriteLogRecord) => boolean = () => true) {
    this.#redactor = redactor;
    this.#wants = wants;
  }

  onEmit(record: ReadWriteLogRecord): void {
    if (!this.#redactor.enabled || !this.#wants(record)) return;
    maskEach(record.attributes, this.#redactor, (name, value) => record.setAttribute(name, value as AnyValue));
    const { body } = record;
    const masked = typeof body === 'string' ? this.#redactor.text(body) : this.#redactor.deep(body, 'body');
    if (masked !== body) record.setBody(masked as AnyValue);
  }

  forceFlush = async (): Promise<void> => {};
  shutdown = async (): Promise<void> => {};
}

/**
 * Masks spans: name, attributes (`url.full`, `url.query`, `http.target`, statements …), events, links, status. In place
 * while the span ends, where the SDK tells of that (`onEnding`). Else `next` gets a masked view of the ended span.
 */
export class RedactingSpanProcessor implements SpanProcessor {
  readonly #redactor: Redactor;
  readonly #next: SpanProcessor | undefined;
  /** Set at the first ending that the SDK tells of: it tells of all or none. */
  #endingTold = false;

  constructor(redactor: Redactor, next?: SpanProcessor) {
    this.#redactor = redactor;
    this.#next = next;
  }

  onStart(span: Span, parentContext: Parameters<SpanProcessor['onStart']>[1]): void {
    this.#next?.onStart(span, parentContext);
  }

  onEnding(span: Span): void {
    this.#endingTold = true;
    if (this.#redactor.enabled) {
      const redactor = this.#redactor;
      // Attributes are set past `setAttribute`, which would apply limits anew.
      const attributes = span.attributes as Record<string, unknown>;
      maskEach(span.attributes, redactor, (name, value) => {
        attributes[name] = value;
      });
      const name = redactor.text(span.name);
      if (name !== span.name) span.updateName(name);
      const { code, message } = span.status;
      if (message !== undefined) {
        const masked = redactor.text(message);
        if (masked !== message) span.setStatus({ code, message: masked });
      }
      for (const event of span.events) this.#maskPart(event);
      for (const link of span.links) this.#maskPart(link);
    }
    this.#next?.onEnding?.(span);
  }

  onEnd(span: ReadableSpan): void {
    if (this.#next === undefined) return;
    this.#next.onEnd(this.#endingTold || !this.#redactor.enabled ? span : this.#view(span));
  }

  forceFlush(): Promise<void> {
    return this.#next?.forceFlush() ?? Promise.resolve();
  }

  shutdown(): Promise<void> {
    return this.#next?.shutdown() ?? Promise.resolve();
  }

  #maskPart(part: { attributes?: Attributes }): void {
    if (part.attributes === undefined) return;
    const masked = this.#copy(part.attributes);
    if (masked !== part.attributes) part.attributes = masked;
  }

  #copy(attributes: Attributes): Attributes {
    let copy: Record<string, unknown> | undefined;
    maskEach(attributes, this.#redactor, (name, value) => {
      copy ??= { ...attributes };
      copy[name] = value;
    });
    return (copy as Attributes | undefined) ?? attributes;
  }

  #view(span: ReadableSpan): ReadableSpan {
    const { message } = span.status;
    const values = {
      name: this.#redactor.text(span.name),
      attributes: this.#copy(span.attributes),
      events: span.events.map((event) =>
        event.attributes === undefined ? event : { ...event, attributes: this.#copy(event.attributes) },
      ),
      links: span.links.map((link) =>
        link.attributes === undefined ? link : { ...link, attributes: this.#copy(link.attributes) },
      ),
      status: message === undefined ? span.status : { ...span.status, message: this.#redactor.text(message) },
    };
    return Object.create(
      span,
      Object.fromEntries(Object.entries(values).map(([key, value]) => [key, { value, enumerable: true }])),
    ) as ReadableSpan;
  }
}
