/** What colours and shapes of a picture mean. */
import { Html, html } from './html.ts';
import type { Color } from './svg.ts';

const swatch = (name: Color, shape: string): Html =>
  html`<svg viewBox="0 0 22 12" aria-hidden="true" fill="var(--${name})" stroke="var(--${name})">${new Html(shape)}</svg>`;

export const BLOCK = '<rect x="1" y="1" width="20" height="10" stroke="none"/>';

export const STROKE = '<path d="M1 6H21" stroke-width="2" fill="none"/>';

export const keyHtml = (...items: readonly (readonly [Color, string, string])[]): Html =>
  html`<ul class="key">${items.map(([name, shape, text]) => html`<li>${swatch(name, shape)}${text}</li>`)}</ul>`;
