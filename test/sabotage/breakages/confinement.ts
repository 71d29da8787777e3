/** Breakages of what confines the core: privileges, files, system calls. */
import type { Breakage } from '../breakage.ts';

export const confinement: readonly Breakage[] = [
  {
    name: 'the core is not held to its system-call filter',
    find: '  if (filters !== undefined) enforce(',
    put: '  if (filters === undefined) enforce(',
    claims: ['E-01c', 'WHY-02'],
  },
  {
    name: 'io_uring is not taken away before the core starts',
    find: 'program.return(action.errno | ENOSYS);',
    put: 'program.return(action.allow);',
    claims: ['X-first-filter'],
    tests: ['test/unit/confinement.test.ts'],
  },
  {
    name: 'any memory may be made executable',
    find: "why: 'memory of the heap', if: [[{ argument: 2, lacks: executable }]] },",
    put: "why: 'memory of the heap' },",
    claims: ['E-01c', 'WHY-02'],
  },
  {
    name: 'a stream of TCP may be opened while everything listens',
    find: "untilListening: true,\n  },\n  { call: 'listen'",
    put: "},\n  { call: 'listen'",
    claims: ['E-01c'],
  },
  {
    name: 'a full metrics page ends the daemon',
    find: "  { call: 'getpeername', why: 'Node asks whom it turns away from a full metrics page' },",
    put: '',
    claims: ['E-01c'],
    tests: ['test/netns/calls.test.ts'],
  },
  {
    name: 'the bounding set is kept',
    find: "must('bounding set', native.prctl(dropFromBoundingSet, each, 0))",
    put: "must('bounding set', 0)",
    claims: ['X-privileges'],
  },
  {
    name: 'the groups of the caller are kept',
    find: 'if (has(numbers.setgid)) keepGroup(groupId);',
    put: '',
    claims: ['X-privileges'],
  },
  {
    name: 'Landlock is prepared and not applied',
    find: "must('restrict', native.landlockRestrict(ruleset));",
    put: '',
    claims: ['X-files'],
  },
  {
    name: 'all of /etc may be read',
    find: "  '/etc/localtime', // log times without a zone",
    put: "  '/etc',",
    claims: ['X-files'],
  },
  {
    name: 'privileges may be gained again',
    find: "  must('no_new_privs', native.prctl(setNoNewPrivileges, 1, 0));\n",
    put: '',
    claims: ['X-privileges'],
  },
  {
    name: 'what may be read may be written',
    find: '  read: fs.readFile | fs.readDirectory,',
    put: '  read: fs.readFile | fs.readDirectory | fs.writeFile | fs.truncate,',
    claims: ['X-files'],
  },
  {
    name: 'calls of another architecture pass',
    find: "program.ifEqual(architectures[machine], 'known');\n  program.return(action.kill);",
    put: "program.ifEqual(architectures[machine], 'known');\n  program.return(action.allow);",
    claims: ['X-first-filter'],
    tests: ['test/unit/confinement.test.ts'],
  },
  {
    name: 'calls of the x32 interface pass',
    find: "program.label('x32');\n  program.return(action.kill);",
    put: "program.label('x32');\n  program.return(action.allow);",
    claims: ['X-first-filter'],
    tests: ['test/unit/confinement.test.ts'],
  },
  {
    name: 'the confined daemon may not read its lists',
    find: 'flatMap(({ logpath }) => logpath), ...lists])',
    put: 'flatMap(({ logpath }) => logpath), ...lists.slice(1)])',
    claims: ['X-files'],
    tests: ['test/unit/confine.test.ts'],
  },
];
