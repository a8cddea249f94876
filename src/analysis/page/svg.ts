/** Pictures as SVG text, drawn by echarts on this side; their colours are variables of the page's style sheet. */
import type { EChartsCoreOption } from 'echarts/core';
import { RiskTrailError } from '../../core/errors.ts';
import { Html, html } from './html.ts';

/** Colours by meaning: the same everywhere on the page. The style sheet gives them, for light and for dark. */
export const COLORS = [
  'ink',
  'muted',
  'line',
  'price',
  'level',
  'active',
  'normal',
  'caution',
  'halted',
  'off',
  'loss',
  'heat0',
  'heat1',
  'heat2',
  'surface',
] as const;
export type Color = (typeof COLORS)[number];

/** A colour as echarts takes it: a code that no one would choose, which becomes the variable. */
export function color(name: Color): string {
  return `#0f0e${(0xa0 + COLORS.indexOf(name)).toString(16)}`;
}

const CODE = /#0f0e([ab][0-9a-f])/gi;

/** The parts of echarts that pages use. */
export interface Charts {
  /** One picture. @param id unique within the page */
  draw(id: string, width: number, height: number, option: EChartsCoreOption): string;
}

/**
 * Loads echarts.
 * @throws RiskTrailError ECHARTS_MISSING
 */
export async function loadCharts(): Promise<Charts> {
  try {
    const [core, charts, components, renderers] = await Promise.all([
      import('echarts/core'),
      import('echarts/charts'),
      import('echarts/components'),
      import('echarts/renderers'),
    ]);
    core.use([
      charts.LineChart,
      charts.ScatterChart,
      charts.CustomChart,
      charts.BarChart,
      components.GridComponent,
      components.MarkLineComponent,
      renderers.SVGRenderer,
    ]);
    return {
      draw(id, width, height, option) {
        const chart = core.init(null, null, { renderer: 'svg', ssr: true, width, height, locale: 'EN' });
        try {
          chart.setOption({
            animation: false,
            useUTC: true,
            textStyle: { fontFamily: 'sans-serif', fontSize: 12 },
            ...option,
          });
          return cleaned(id, chart.renderToSVGString());
        } finally {
          chart.dispose();
        }
      },
    };
  } catch (error) {
    const { message } = error as Error;
    throw new RiskTrailError('ECHARTS_MISSING', { reason: message.split('\n', 1)[0]! }, error);
  }
}

/** The drawing without what a file of its own needs: names of its own for what it refers to, the page's font and colours. */
function cleaned(id: string, svg: string): string {
  return svg
    .replace(/^[\s\S]*?<svg[^>]*?viewBox="([^"]*)"[^>]*>/, '<svg viewBox="$1" role="img">')
    .replaceAll(/<style >[\s\S]*?<\/style>/g, '')
    .replaceAll(/ (class="zr\d+-cls-\d+"|pointer-events="visible"|ecmeta_\w+="[^"]*")/g, '')
    .replaceAll(/<path d=""[^>]*><\/path>\n?/g, '')
    .replaceAll(/\bzr\d+-/g, `${id}-`)
    .replaceAll(/font-family:[^;"]*;?/g, '')
    .replaceAll(/ xml:space="preserve"/g, '')
    .replaceAll(/<rect width="\d+" height="\d+" x="0" y="0"[^>]*fill="none"[^>]*><\/rect>/g, '')
    .replaceAll(CODE, (_, code: string) => `var(--${COLORS[Number.parseInt(code, 16) - 0xa0]})`);
}

/** A picture with its name, its words, and the same as a table. */
export interface Figure {
  readonly id: string;
  readonly title: string;
  /** What is to be seen, in a sentence or two: also what a screen reader reads. */
  readonly summary: string;
  /** The wide and the narrow drawing. */
  readonly draw: (width: number, narrow: boolean) => { readonly height: number; readonly option: EChartsCoreOption };
  readonly key?: Html;
  readonly table: Html;
}

const WIDE = 1040;
const NARROW = 360;

/** The figure as HTML: two drawings, of which the style sheet shows the one that fits. */
export function figure(charts: Charts, { id, title, summary, draw, key, table }: Figure): Html {
  const picture = (kind: 'wide' | 'narrow', width: number) => {
    const { height, option } = draw(width, kind === 'narrow');
    const drawn = charts.draw(`${id}-${kind}`, width, height, option);
    const names = html`<title>${title}</title><desc>${summary}</desc>`;
    const label = html` aria-label="${title}: ${summary}">`;
    return html`<div class="${kind}">${new Html(drawn.replace('>', () => `${label}${names}`))}</div>`;
  };
  return html`<figure id="${id}" aria-labelledby="${id}-title"><figcaption><h3 id="${id}-title">${title}</h3><p>${summary}</p></figcaption>
${key}${picture('wide', WIDE)}${picture('narrow', NARROW)}
<details class="data"><summary>The same as a table<span class="sr">: ${title}</span></summary>${table}</details></figure>\n`;
}
