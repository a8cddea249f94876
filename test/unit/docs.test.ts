import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const PAGES = [...readdirSync(ROOT), ...readdirSync(join(ROOT, 'docs')).map((name) => `docs/${name}`)]
  .filter((name) => name.endsWith('.md'))
  .map((name) => ({ name, text: readFileSync(join(ROOT, name), 'utf8') }));

/** What the pages' code takes as given: a running trail, and a service's own things. */
const PRELUDE = `
import type { LimitOrder, Portfolio, RiskTrail } from 'risktrail';
declare global {
  const trail: RiskTrail;
  const portfolio: Portfolio;
  const order: LimitOrder & { quantity: number };
  const correlationId: string;
  const exchange: import('risktrail').KillExchange;
  const broker: {
    placeOrder(order: object): Promise<{ id: string }>;
    cancelOrder(id: string): Promise<void>;
    subscribe(symbol: string): Promise<void>;
    fetchPositions(): Promise<{ symbol: string; quantity: number }[]>;
    fetchBalance(): Promise<number>;
  };
}
`;

interface Block {
  /** \`docs/guide.md:42\` */
  readonly place: string;
  readonly code: string;
}

const BLOCKS: readonly Block[] = PAGES.flatMap(({ name, text }) =>
  [...text.matchAll(/^```(?:ts|typescript)\n([\s\S]*?)^```$/gm)].map((match) => ({
    place: `${name}:${text.slice(0, match.index).split('\n').length}`,
    code: match[1]!,
  })),
);

/** Headings as a page's anchors. */
function anchorsOf(text: string): Set<string> {
  const seen = new Map<string, number>();
  const anchors = new Set<string>();
  for (const [, heading] of text.replace(/^```[\s\S]*?^```$/gm, '').matchAll(/^#{1,6} (.+)$/gm)) {
    const slug = heading!
      .trim()
      .toLowerCase()
      .replace(/[^\p{L}\p{N}\s_-]/gu, '')
      .replaceAll(' ', '-');
    const times = seen.get(slug) ?? 0;
    seen.set(slug, times + 1);
    anchors.add(times === 0 ? slug : `${slug}-${times}`);
  }
  return anchors;
}

describe('the pages', () => {
  it('have TypeScript that compiles', () => {
    expect(BLOCKS.length).toBeGreaterThan(10);
    const directory = mkdtempSync(join(tmpdir(), 'risktrail-docs-'));
    try {
      symlinkSync(join(ROOT, 'node_modules'), join(directory, 'node_modules'));
      writeFileSync(join(directory, 'package.json'), '{ "type": "module" }');
      writeFileSync(join(directory, 'prelude.d.ts'), PRELUDE);
      for (const [index, { code }] of BLOCKS.entries()) {
        writeFileSync(join(directory, `block-${index}.ts`), `${code}\nexport {};\n`);
      }
      const compilerOptions = {
        noEmit: true,
        paths: {
          risktrail: [join(ROOT, 'src/index.ts')],
          'risktrail/analysis': [join(ROOT, 'src/analysis/index.ts')],
          'risktrail/client': [join(ROOT, 'src/server/client.ts')],
          'risktrail/instrumentation': [join(ROOT, 'src/instrumentation/index.ts')],
        },
        erasableSyntaxOnly: false,
      };
      const config = { extends: join(ROOT, 'tsconfig.json'), compilerOptions, include: ['*.ts'] };
      writeFileSync(join(directory, 'tsconfig.json'), JSON.stringify(config));
      const tsc = join(ROOT, 'node_modules/typescript/bin/tsc');
      const { stdout } = spawnSync(process.execPath, [tsc, '-p', directory, '--pretty', 'false'], {
        cwd: directory,
        encoding: 'utf8',
      });
      const errors = stdout
        .trim()
        .split('\n')
        .filter((line) => line !== '')
        .map((line) => line.replace(/^block-(\d+)\.ts/, (_, index) => BLOCKS[Number(index)]!.place));
      expect(errors).toEqual([]);
    } finally {
      rmSync(directory, { recursive: true, force: true });
    }
  });

  it('link to pages, headings and files that are there', () => {
    const broken = PAGES.flatMap(({ name, text }) => {
      const prose = text.replace(/^```[\s\S]*?^```$/gm, '').replace(/`[^`\n]*`/g, '');
      return [...prose.matchAll(/\]\(([^)\s]+)\)/g)]
        .map((match) => match[1]!)
        .filter((link) => !/^[a-z]+:/.test(link))
        .filter((link) => {
          const [path, anchor] = link.split('#') as [string, string?];
          const target = path === '' ? join(ROOT, name) : resolve(ROOT, dirname(name), path);
          if (!existsSync(target)) return true;
          return anchor !== undefined && target.endsWith('.md') && !anchorsOf(readFileSync(target, 'utf8')).has(anchor);
        })
        .map((link) => `${name}: ${link}`);
    });
    expect(broken).toEqual([]);
  });

  it('of the folder docs are each reached from the README', () => {
    const readme = PAGES.find(({ name }) => name === 'README.md')!.text;
    expect(PAGES.filter(({ name }) => name.startsWith('docs/') && !readme.includes(`](${name})`))).toEqual([]);
  });
});
