/** What `doctor` says of our table in a real kernel. Run by doctor.test.ts, see namespace.ts. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { NftablesBackend } from '../../src/backends/nftables/nftables.ts';
import { examine } from '../../src/client/doctor.ts';
import { answerScenario, type Scenario } from '../support/namespace.ts';
import { sshd } from './bans.ts';
import { nft } from './topology.ts';

const table = 'fail2zig';

export const scenarios: Record<string, Scenario> = {
  'each way in which our table does not work is bad, and a whole one is well': async () => {
    const home = mkdtempSync('/run/doctor-');
    const path = join(home, 'fail2zig.toml');
    const jails = [sshd.name, 'web'].map((name) => `[jails.${name}]\nfilter = "sshd"\nlogpath = "${home}/none"\n`);
    const settings = `[control]\nsocket = "${home}/none"\ngroup = "root"\n[firewall]\nbackend = "nftables"\n`;
    const look = async (jailsConfigured: number): Promise<string[]> => {
      writeFileSync(path, settings + jails.slice(0, jailsConfigured).join(''), { mode: 0o600 });
      const said: string[] = [];
      for await (const { link, state, says, mend } of examine(path, `${home}/none`)) {
        if (link !== 'kernel') continue;
        said.push(`${state}: ${says}`);
        assert.equal(state === 'ok', mend === undefined, 'what to do about it');
      }
      return said;
    };
    assert.deepEqual(await look(1), [`bad: there is no nftables table inet ${table}`]);
    const backend = new NftablesBackend({ table });
    await backend.install([sshd]);
    const [whole] = await look(1);
    assert.match(whole!, /^ok: table inet fail2zig: hooked at [a-z-]+(, [a-z-]+)*, \d+ sets$/);
    const sets = Number(/(\d+) sets$/.exec(whole!)![1]);
    assert.ok(sets >= 2, 'a set for each family');
    nft('add table inet other { chain x { type filter hook input priority 0; }; set y { type ipv4_addr; }; }');
    assert.deepEqual(await look(1), [whole], 'beside the table of others');
    const many = Math.floor(sets / 2) + 1;
    while (jails.length < many) jails.push(`[jails.more${jails.length}]\nfilter = "sshd"\nlogpath = "${home}/none"\n`);
    assert.deepEqual(await look(many), [`bad: table inet ${table} has ${sets} sets for ${many} jails`]);
    assert.deepEqual(await look(many - 1), [whole], 'as many sets as jails need');
    nft(`add table inet ${table} { flags dormant; }`);
    assert.deepEqual(await look(1), [`bad: the nftables table inet ${table} is dormant`]);
    nft(`delete table inet ${table}`);
    nft(`add table inet ${table} { chain x { }; set y { type ipv4_addr; }; set z { type ipv6_addr; }; }`);
    assert.deepEqual(await look(1), [`bad: no chain of table inet ${table} is hooked`]);
    rmSync(home, { recursive: true });
  },
};

await answerScenario(import.meta.filename, scenarios);
