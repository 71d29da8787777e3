/** Breakages of the import: what of a fail2ban tree is read, translated and told. */
import type { Breakage } from '../breakage.ts';

export const importing: readonly Breakage[] = [
  {
    name: 'jail.local is not read',
    find: "const wanted = [`${base}.conf`, ...more('.conf'), `${base}.local`, ...more('.local')].filter(isThere);",
    put: "const wanted = [`${base}.conf`, ...more('.conf')].filter(isThere);",
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
];
