/**
 * A real Local API over https, with a test authority: hosts that trust it by `ca`, one identified
 * by password and key and two by a certificate; one host that does not trust it; and one whose
 * certificate the server rejects.
 */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { chmodSync, mkdtempSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { note } from '../../scripts/long/record.ts';
import { until } from '../support/until.ts';
import { type Certificates, CrowdSec } from './crowdsec.ts';
import { buildNetwork, Host, serverAddress } from './hosts.ts';

const say = (text: string): void => {
  console.log(`  ${text}`);
  note(`tls: ${text}`);
};
const unit = 'fleet';

/** An authority and its certificates, made by openssl in a folder. */
class Authority {
  readonly #directory: string;
  readonly ca: string;

  constructor(directory: string) {
    this.#directory = directory;
    this.ca = join(directory, 'ca.pem');
    const made = ['-x509', '-days', '2', '-subj', '/CN=authority of the test', '-out', this.ca];
    this.#openssl('req', ...this.#newKey('ca'), ...made);
  }

  #openssl(...words: string[]): void {
    execFileSync('openssl', words, { cwd: this.#directory, stdio: ['ignore', 'ignore', 'pipe'] });
  }

  #newKey(name: string): string[] {
    return ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-keyout', `${name}.key`];
  }

  /** A certificate and its key, which only their owner can read. */
  vouch(name: string, subject: string, extensions: string): { certificate: string; key: string } {
    const [request, certificate, key] = ['csr', 'pem', 'key'].map((kind) => join(this.#directory, `${name}.${kind}`));
    writeFileSync(join(this.#directory, `${name}.extensions`), extensions);
    this.#openssl('req', ...this.#newKey(name), '-subj', subject, '-out', request!);
    const by = ['-CA', this.ca, '-CAkey', 'ca.key', '-CAcreateserial', '-days', '2', '-extfile', `${name}.extensions`];
    this.#openssl('x509', '-req', '-in', request!, ...by, '-out', certificate!);
    chmodSync(key!, 0o600);
    return { certificate: certificate!, key: key! };
  }
}

export async function overTls(): Promise<void> {
  buildNetwork();
  const directory = mkdtempSync('/run/fleet-');
  const authority = new Authority(directory);
  const { ca } = authority;
  const own = authority.vouch(
    'server',
    '/CN=server',
    `subjectAltName=IP:${serverAddress}\nextendedKeyUsage=serverAuth\n`,
  );
  const client = (name: string, organisation: string) =>
    authority.vouch(name, `/OU=${organisation}/CN=${name}`, 'extendedKeyUsage=clientAuth\n');
  const certificates: Certificates = { ca, ...own, unit };
  const server = await CrowdSec.start(directory, serverAddress, 'sqlite', certificates);
  const { url } = server;
  const pem = ({ certificate, key }: { certificate: string; key: string }) =>
    `ca = "${ca}"\ncertificate = "${certificate}"\nkey = "${key}"\n`;
  const secrets = (name: string) =>
    `machine = "${name}"\npassword_file = "${directory}/${name}/password"\napi_key_file = "${directory}/${name}/key"\n`;
  const byCertificate = client('web', unit);
  const hosts = [
    new Host(1, directory, { url, known: `${secrets('host1')}ca = "${ca}"` }),
    new Host(2, directory, { url, known: `machine = "host2"\n${pem(byCertificate)}` }),
    new Host(3, directory, { url, known: pem(byCertificate) }),
    new Host(4, directory, { url, known: secrets('host4') }),
    new Host(5, directory, { url, known: `machine = "host5"\n${pem(client('stranger', 'strangers'))}` }),
  ] as const;
  for (const host of hosts) {
    server.cscli('bouncers', 'add', host.name, '--key', `key-of-${host.name}`);
    await host.start(`key-of-${host.name}`);
    host.startFleet();
  }
  try {
    await share(server, hosts);
  } catch (error) {
    for (const host of hosts) console.error(`${host.name}:\n${host.fleetLog}`);
    throw error;
  }
}

async function share(server: CrowdSec, [one, two, three, four, five]: readonly [Host, Host, Host, Host, Host]) {
  const lists = async (host: Host): Promise<boolean> => (await host.figure('lists_total')) > 0;
  await until(() => server.cscli('machines', 'list', '-o', 'raw').includes(one.name), {
    what: 'host1',
    withinMs: 60_000,
  });
  server.cscli('machines', 'validate', one.name);
  for (const host of [one, three])
    await until(() => lists(host), { what: `a list for ${host.name}`, withinMs: 60_000 });
  two.attack('198.51.100.2');
  await one.untilBanned('fleet', '198.51.100.2', 'the ban of host2 on host1');
  one.attack('198.51.100.1');
  await three.untilBanned('fleet', '198.51.100.1', 'the ban of host1 on host3');
  say('by https with a given authority: password and key, a certificate that sends, a certificate that receives');
  const shown = server.alerts().find(({ value }) => value === '198.51.100.2');
  assert.equal(shown?.machine, 'web@192.0.2.12', 'whom the server takes the certificate for');
  for (const [host, why] of [
    [four, /is not trusted .*fleet\.ca/],
    [five, /refused|401|403/],
  ] as const) {
    host.attack('198.51.100.4');
    await until(() => /part=alerts problem=/.test(host.fleetLog), {
      what: `the problem of ${host.name}`,
      withinMs: 60_000,
    });
    assert.match(host.fleetLog, why, `what ${host.name} says`);
    const waits = async () => (await host.figure('alerts_waiting')) === 1;
    await until(waits, { what: `what waits on ${host.name}`, withinMs: 60_000 });
    assert.equal(await host.figure('alerts_sent_total'), 0, `what ${host.name} sent`);
  }
  assert.equal(await four.figure('lists_total'), 0, 'lists of a server that is not trusted');
  say('a server that is not trusted is told nothing; a certificate of strangers is not let in; their bans wait');
}
