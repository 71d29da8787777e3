/** Breakages of fail2zig-fleet. */
import type { Breakage } from '../breakage.ts';

export const fleet: readonly Breakage[] = [
  {
    name: 'the fleet runs without a configuration',
    find: '  } catch (error) {\n    if (!(error instanceof ConfigError)) throw error;\n    say(`the configuration cannot be used',
    put: "    return { compiled, fleet: { url: 'https://192.0.2.1', receives: true } as FleetConfig };\n  } catch (error) {\n    if (!(error instanceof ConfigError)) throw error;\n    say(`the configuration cannot be used",
    claims: ['X-fleet'],
  },
  {
    name: 'a section that is off is used all the same',
    find: 'if (table.enabled === false || before.count > 0) return undefined;',
    put: 'if (before.count > 0) return undefined;',
    claims: ['X-fleet'],
  },
  {
    name: 'a batch in doubt is sent again unasked',
    find: 'isDoubtful ||= error.maybeDone;',
    put: 'isDoubtful ||= false;',
    claims: [],
    tests: ['test/unit/fleet-sender.test.ts'],
  },
  {
    name: 'a batch that was being sent is not marked on disk',
    find: '      this.#sending = end;\n      await this.#save();',
    put: '      this.#sending = end;',
    claims: [],
    tests: ['test/unit/fleet-spool.test.ts'],
  },
  {
    name: 'a smaller batch ends the doubt about a larger one',
    find: 'const doubtful = Math.max(this.#sending ?? 0, this.#uncertainUntil);',
    put: 'const doubtful = this.#sending ?? this.#uncertainUntil;',
    claims: [],
    tests: ['test/unit/fleet-spool.test.ts'],
  },
  {
    name: 'a list that broke off ends bans',
    find: "if (!parser.isEnded) throw new ListError('it ends in its middle');",
    put: '',
    claims: [],
    tests: ['test/unit/fleet-stream.test.ts'],
  },
  {
    name: 'an object without a list is an empty list',
    find: `if (!outline.seen.has('new')) throw new ListError('it has no "new"');`,
    put: '',
    claims: [],
    tests: ['test/unit/fleet-stream.test.ts'],
  },
  {
    name: 'our own decisions come back as bans',
    find: "if (ownMark !== undefined && scenario.startsWith('fail2zig/') && scenario.endsWith(ownMark)) return 'own';",
    put: '',
    claims: [],
    tests: ['test/unit/fleet-receiver.test.ts'],
  },
  {
    name: 'bans of the fleet are sent back to it',
    find: "if (event.event !== 'ban' || jail === undefined || jail === options.fleetJail) return [];",
    put: "if (event.event !== 'ban' || jail === undefined) return [];",
    claims: [],
    tests: ['test/unit/fleet-sender.test.ts'],
  },
  {
    name: 'a secret may be read by everybody',
    find: "if ((mode & forOthers) !== 0) return 'is open to every user: chmod o= it';",
    put: '',
    claims: [],
    tests: ['test/unit/fleet-config.test.ts'],
  },
];
