/** Breakages of the audit log, its chain, its files and who is told. */
import type { Breakage } from '../breakage.ts';

export const history: readonly Breakage[] = [
  {
    name: 'the verifier compares no hash of a line',
    find: 'else if (this.#head !== undefined && sha256(this.#head + body) !== said)',
    put: 'else if (this.#head === undefined && sha256(body) === said)',
    claims: ['R-01d'],
  },
  {
    name: 'the verifier does not ask the seal where the log ends',
    find: 'const sealed = this.#seal ? [',
    put: 'const sealed = this.#seal === null ? [',
    claims: ['R-01d'],
  },
  {
    name: 'a seal whose text was changed is believed',
    find: 'return seal !== undefined && sealText(seal, hashOf) === text ? seal : undefined;',
    put: 'return seal;',
    claims: ['R-01d'],
  },
  {
    name: 'a start does not say that records are missing',
    find: 'if (isMissing(seal, end, from)) found.push',
    put: 'if (false) found.push',
    claims: ['X-records'],
    tests: ['test/unit/audit.test.ts'],
  },
  {
    name: 'what a full disk did not take of a record is forgotten',
    find: 'this.#rest = this.#rest.subarray(bytesWritten);',
    put: 'this.#rest = Buffer.alloc(0);',
    claims: ['X-records'],
    tests: ['test/unit/audit.test.ts'],
  },
  {
    name: 'a new file of the audit log may be read by everybody',
    find: 'O_NOFOLLOW | O_CREAT | O_EXCL, 0o600);\n    this.#file = file;',
    put: 'O_NOFOLLOW | O_CREAT | O_EXCL, 0o644);\n    this.#file = file;',
    claims: ['X-records'],
    tests: ['test/unit/audit.test.ts'],
  },
  {
    name: 'everybody may read the audit log',
    find: 'await file.chmod(0o640);',
    put: 'await file.chmod(0o644);',
    claims: ['X-records'],
    tests: ['test/unit/history.test.ts', 'test/unit/audit.test.ts'],
  },
  {
    name: 'old files of the audit log go before the seal says so',
    find: '    await this.seal(Math.max(this.#sealed.from, await this.#oldest(new Set(old))));\n',
    put: '',
    claims: ['R-01d', 'X-records'],
    tests: ['test/unit/audit.test.ts'],
  },
  {
    name: 'records that found no place are not told',
    find: "if (count > 0) this.#put({ event: 'lost', count });",
    put: '',
    claims: ['R-01a', 'X-records'],
    tests: ['test/unit/history.test.ts'],
  },
  {
    name: 'numbers of records begin again behind the seal',
    find: 'this.#number = Math.max(last, seal?.number ?? 0);',
    put: 'this.#number = seal?.number ?? last;',
    claims: ['R-01d', 'X-records'],
    tests: ['test/unit/audit.test.ts'],
  },
  {
    name: 'the journal is not told who asked',
    find: 'Object.entries({ ...others, ...by, address: addresses })',
    put: 'Object.entries({ ...others, address: addresses })',
    claims: ['R-01a'],
  },
  {
    name: 'the audit log is sealed at its end and never before',
    find: 'void this.#turns.take(() => this.#write(true)), limits.auditSealMs)',
    put: 'void this.#turns.take(() => this.#write(false)), limits.auditSealMs)',
    claims: ['R-01d'],
  },
  {
    name: 'a ban is recorded with what another jail saw of its source',
    find: "`${jail} ${Buffer.from(bytes).toString('latin1')}`",
    put: "`${Math.min(jail, 0)} ${Buffer.from(bytes).toString('latin1')}`",
    claims: ['R-01a'],
  },
  {
    name: 'refusals over their budget are not counted',
    find: 'if (!this.#refusals.take()) this.#refusedUnsaid++;',
    put: 'if (!this.#refusals.take()) this.#refusedUnsaid = 0;',
    claims: ['R-01a'],
  },
  {
    name: 'a list of ten thousand is recorded with its last address alone',
    find: 'this.#put({ event, jail, addresses, ...bans[0]!.details?.(), ...asked });',
    put: 'this.#put({ event, jail, addresses: addresses.slice(-1), ...bans[0]!.details?.(), ...asked });',
    claims: ['R-01b'],
  },
];
