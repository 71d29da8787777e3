/** Breakages of the import: what of a fail2ban tree is read, translated and told. */
import type { Breakage } from '../breakage.ts';

export const importing: readonly Breakage[] = [
  {
    name: 'jail.local is not read',
    find: 'const file = this.#file(path);\n      if (!file) continue;',
    put: "const file = this.#file(path);\n      if (!file || path.endsWith('jail.local')) continue;",
    claims: ['LP-11', 'LP-28'],
  },
  {
    name: 'an ignoreregex is forgotten',
    find: 'for (const pattern of translated.patterns) this.#ignore.push({ pattern, expression: text, from });',
    put: '',
    claims: ['LP-11'],
  },
  {
    name: 'a jail that is not protected is no warning',
    find: "    if (weight === 'lost') this.#lost = true;",
    put: '',
    claims: ['WHY-15'],
  },
  {
    name: 'ignored addresses do not come over',
    find: "      if (kept.length > 0) this.#set('ignoreip', kept, place);",
    put: '',
    claims: ['WHY-15'],
  },
  {
    name: 'the findtime of a jail does not come over',
    find: "    this.#duration('findtime', false);\n",
    put: '',
    claims: ['WHY-15'],
  },
  {
    name: 'an ignorecommand is left out without a word',
    find: "if (command && command.text.trim() !== '') {",
    put: "if (command && command.text === 'none') {",
    claims: ['WHY-15'],
  },
  {
    name: 'the second log of a jail does not come over',
    find: 'else if (!paths.includes(parsed.path)) paths.push(parsed.path);',
    put: 'else if (paths.length === 0) paths.push(parsed.path);',
    claims: ['WHY-15'],
  },
  {
    name: 'ignoreself = false does not come over',
    find: 'if (ignoreself && !isYes(ignoreself.text))',
    put: 'if (ignoreself && isYes(ignoreself.text))',
    claims: ['WHY-15'],
  },
  {
    name: 'maxretry comes over with one failure more',
    find: "this.#set('maxretry', kept, place);",
    put: "this.#set('maxretry', kept + 1, place);",
    claims: ['WHY-15'],
  },
  {
    name: 'a service has no other names',
    find: 'for (const each of [name, ...aliases])',
    put: 'for (const each of [name])',
    claims: ['LP-11'],
    tests: ['test/unit/import-report.test.ts'],
  },
];
