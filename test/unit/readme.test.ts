/**
 * What the README shows must work: its configuration is accepted as it stands, its commands and
 * links exist.
 */
import { existsSync, globSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { commandNames, readmeRows } from '../../src/client/help.ts';
import { compileConfig } from '../../src/config/compile.ts';
import { filters } from '../../src/filters/index.ts';

const readme = readFileSync('README.md', 'utf8');
const documents = [...globSync('docs/*.md'), 'README.md', 'CONTRIBUTING.md', 'THREAT_MODEL.md', 'CHANGELOG.md'];

/** Text of each code block in `language`. */
function blocks(language: string): string[] {
  return [...readme.matchAll(new RegExp(`^\`\`\`${language}\n(.*?)^\`\`\``, 'gms'))].map(([, text]) => text ?? '');
}

describe('README', () => {
  test('its configuration is accepted without a warning', () => {
    const known = filters.map(({ name, modes }) => ({ name, modes: modes ?? [] }));
    const [text = ''] = blocks('toml');
    const { config, warnings } = compileConfig(text, 'README.md', { filters: known, groupId: () => 0 });
    expect(warnings).toEqual([]);
    expect(config.jails[0]).toMatchObject({ name: 'sshd', filter: 'sshd', maxretry: 5, findtime: 600, bantime: 3600 });
  });

  test('its client commands are those of the client', () => {
    const [, rows = ''] = readme.match(/<!-- verbs:begin -->\n([\s\S]*?)<!-- verbs:end -->/) ?? [];
    expect(rows).toBe(readmeRows());
    const shown = [...readme.matchAll(/`fail2zig-client ([a-z]+)/g)].map(([, name]) => name ?? '');
    expect(shown.filter((name) => !commandNames.includes(name))).toEqual([]);
  });

  test('its npm commands are scripts of package.json', () => {
    const scripts = Object.keys(JSON.parse(readFileSync('package.json', 'utf8')).scripts ?? {});
    const shown = blocks('sh').flatMap((text) => [...text.matchAll(/^npm (?:run )?(\w+)/gm)].map(([, name]) => name));
    expect(shown.length).toBeGreaterThan(2);
    expect(shown.filter((name) => !scripts.includes(name ?? ''))).toEqual([]);
  });
});

test.each(documents)('links of %s lead to files', (document) => {
  const links = [...readFileSync(document, 'utf8').matchAll(/\]\((?!https?:)([^)#]+)/g)].map(
    ([, target]) => target ?? '',
  );
  expect(links.filter((target) => !existsSync(join(dirname(document), target)))).toEqual([]);
});
