/** Breakages of what a reload takes, refuses and tells. */
import type { Breakage } from '../breakage.ts';

export const reload: readonly Breakage[] = [
  {
    name: 'a second reload begins while the first is under way',
    find: "if (this.#isBusy) throw new OperatorError('busy', 'another reload",
    put: "if (false) throw new OperatorError('busy', 'another reload",
    claims: ['X-reload'],
  },
  {
    name: 'a reload leaves the log level as it was',
    find: 'if (next.log.level !== config.log.level) log.setLevel(next.log.level);',
    put: '',
    claims: ['X-reload'],
  },
  {
    name: 'a reload does not touch what is never banned',
    find: '          ignored.renew();\n',
    put: '',
    claims: ['X-reload'],
  },
  {
    name: 'a reload takes the first jail that reads the journal',
    find: 'if (asked !== undefined && journal === undefined) yield',
    put: 'if (false) yield',
    claims: ['X-reload'],
  },
  {
    name: 'another form of the log is passed over by a reload',
    find: 'if (next.log.format !== config.log.format) yield',
    put: 'if (false) yield',
    claims: ['X-reload'],
  },
  {
    name: 'a reload takes logs outside of what may be read',
    find: '        if (directory === undefined) continue;\n',
    put: "        if (directory !== '') continue;\n",
    claims: ['X-reload'],
    tests: ['test/netns/reload.test.ts'],
  },
  {
    name: 'removed jails are not named by a reload',
    find: '!next.jails.some(({ name }) => name === jail.name));',
    put: 'next.jails.length === 0);',
    claims: ['X-reload'],
  },
  {
    name: 'a configuration that its sender can still change is taken',
    find: 'if (seals < 0 || (seals & sealed) !== sealed) {',
    put: 'if (seals < 0) {',
    claims: ['X-reload'],
  },
  {
    name: 'a reload that failed is recorded as done',
    find: "    const reloaded = await reload(next);\n    recorder.command('reload', { uid, pid });\n",
    put: "    recorder.command('reload', { uid, pid });\n    const reloaded = await reload(next);\n",
    claims: ['R-01a'],
  },
];
