/** A real Local API in the caller's namespace, on SQLite or on PostgreSQL. */
import { type ChildProcess, execFileSync, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { chownSync, copyFileSync, mkdirSync, openSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { until } from '../support/until.ts';
import { environment, profiles, programs, simulation } from './packages.ts';

export type Database = 'sqlite' | 'postgresql';

/** PEM files of a server with https. */
export interface Certificates {
  ca: string;
  certificate: string;
  key: string;
  /** The organisational unit of clients that it accepts by certificate. */
  unit: string;
}

/** The user "nobody" of Debian: PostgreSQL does not run as root. */
const nobody = 65_534;

const isOpen = (port: number, host: string): Promise<boolean> =>
  new Promise((resolve) => {
    const socket = connect({ port, host })
      .once('connect', () => resolve(true))
      .once('error', () => resolve(false));
    socket.once('close', () => socket.destroy());
  });

/** Starts its own cluster; resolves with the lines of CrowdSec's configuration for it. */
async function startPostgres(directory: string): Promise<string> {
  mkdirSync(directory);
  chownSync(directory, nobody, nobody);
  const data = join(directory, 'data');
  const as = ['--reuid', String(nobody), '--regid', String(nobody), '--clear-groups'];
  const run = (program: string, ...words: string[]): void => {
    const { status, stderr } = spawnSync('setpriv', [...as, program, ...words], { env: environment, encoding: 'utf8' });
    if (status !== 0) throw new Error(`${program}: ${stderr}`);
  };
  run(programs.initdb, '-D', data, '-U', 'crowdsec', '-A', 'trust', '--no-sync');
  const words = ['-D', data, '-k', directory, '-h', '127.0.0.1', '-c', 'fsync=off'];
  const log = openSync(`${directory}.log`, 'w');
  const child = spawn('setpriv', ['--pdeathsig', 'KILL', ...as, programs.postgres, ...words], {
    env: environment,
    stdio: ['ignore', log, log],
  });
  child.once('error', (error) => console.error(error));
  await until(() => isOpen(5_432, '127.0.0.1'), { what: 'PostgreSQL', withinMs: 60_000 });
  run(programs.createdb, '-h', '127.0.0.1', '-U', 'crowdsec', 'crowdsec');
  return '  type: postgresql\n  user: crowdsec\n  password: none\n  db_name: crowdsec\n  host: 127.0.0.1\n  port: 5432\n  sslmode: disable\n';
}

export class CrowdSec {
  readonly url: string;
  readonly #directory: string;
  readonly #address: string;
  readonly #certificates: Certificates | undefined;
  #child: ChildProcess | undefined;

  private constructor(directory: string, address: string, certificates?: Certificates) {
    this.#directory = directory;
    this.#address = address;
    this.#certificates = certificates;
    this.url = `${certificates ? 'https' : 'http'}://${address}:8080`;
  }

  /** A server that listens on `address`, with its files in `directory`. */
  static async start(
    directory: string,
    address: string,
    database: Database,
    certificates?: Certificates,
  ): Promise<CrowdSec> {
    const server = new CrowdSec(directory, address, certificates);
    for (const name of ['data', 'hub', 'notifications', 'plugins'])
      mkdirSync(join(directory, name), { recursive: true });
    copyFileSync(profiles, join(directory, 'profiles.yaml'));
    copyFileSync(simulation, join(directory, 'simulation.yaml'));
    writeFileSync(join(directory, 'hub', '.index.json'), '{}');
    writeFileSync(join(directory, 'console.yaml'), 'share_manual_decisions: false\n');
    const trust = certificates ? `ca_cert_path: ${certificates.ca}\n` : '';
    const credentials = `url: ${server.url}\nlogin: localhost\npassword: of-the-server-itself\n${trust}`;
    writeFileSync(join(directory, 'local_api_credentials.yaml'), credentials);
    const sqlite = `  type: sqlite\n  db_path: ${directory}/data/crowdsec.db\n  use_wal: true\n`;
    const store = database === 'sqlite' ? sqlite : await startPostgres(join(directory, 'postgres'));
    writeFileSync(server.#config, server.#settings(store));
    server.cscli(
      'machines',
      'add',
      'localhost',
      '--password',
      'of-the-server-itself',
      '-f',
      join(directory, 'unused.yaml'),
    );
    await server.run();
    return server;
  }

  get #config(): string {
    return join(this.#directory, 'config.yaml');
  }

  #settings(store: string): string {
    const directory = this.#directory;
    return `common:
  daemonize: false
  log_media: stdout
  log_level: info
  log_dir: ${directory}/
  working_dir: .
config_paths:
  config_dir: ${directory}/
  data_dir: ${directory}/data/
  simulation_path: ${directory}/simulation.yaml
  hub_dir: ${directory}/hub/
  index_path: ${directory}/hub/.index.json
  notification_dir: ${directory}/notifications/
  plugin_dir: ${directory}/plugins/
db_config:
  log_level: info
${store}api:
  client:
    credentials_path: ${directory}/local_api_credentials.yaml
  server:
    log_level: info
    listen_uri: ${this.#address}:8080
    profiles_path: ${directory}/profiles.yaml
    console_path: ${directory}/console.yaml
${this.#tls()}prometheus:
  enabled: false
`;
  }

  #tls(): string {
    const { ca, certificate, key, unit } = this.#certificates ?? {};
    if (ca === undefined) return '';
    return `    tls:
      cert_file: ${certificate}
      key_file: ${key}
      ca_cert_path: ${ca}
      client_verification: VerifyClientCertIfGiven
      agents_allowed_ou: [${unit}]
      bouncers_allowed_ou: [${unit}]
`;
  }

  /** Starts it, or restarts it. */
  async run(): Promise<void> {
    const log = openSync(join(this.#directory, 'crowdsec.log'), 'a');
    const command = ['--pdeathsig', 'KILL', programs.crowdsec, '-c', this.#config, '-no-cs'];
    this.#child = spawn('setpriv', command, { env: environment, stdio: ['ignore', log, log] });
    await until(() => isOpen(8_080, this.#address), { what: 'the Local API', withinMs: 60_000 });
  }

  /** Kills it at once, like a crash. */
  async kill(): Promise<void> {
    const child = this.#child!;
    if (child.exitCode !== null || child.signalCode !== null) return;
    const gone = once(child, 'exit');
    child.kill('SIGKILL');
    await gone;
  }

  /** Its own command; what it printed. */
  cscli(...words: string[]): string {
    const all = ['-c', this.#config, ...words];
    return execFileSync(programs.cscli, all, {
      env: environment,
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'pipe'],
      maxBuffer: 1 << 28,
    });
  }

  /** The values of the decisions that it lists. */
  decisions(): string[] {
    const alerts = JSON.parse(this.cscli('decisions', 'list', '-o', 'json', '--limit', '0')) as
      | { decisions: { value: string }[] }[]
      | null;
    return (alerts ?? []).flatMap(({ decisions }) => decisions.map(({ value }) => value));
  }

  /** The active decisions: scenario and value. */
  scenarios(): string[] {
    const alerts = JSON.parse(this.cscli('decisions', 'list', '-o', 'json', '--limit', '0')) as
      | { decisions: { scenario: string; value: string }[] }[]
      | null;
    return (alerts ?? []).flatMap(({ decisions }) => decisions.map(({ scenario, value }) => `${scenario} ${value}`));
  }

  /** Its alerts: scenario, value and machine. */
  alerts(): { scenario: string; value: string; machine: string }[] {
    const alerts = JSON.parse(this.cscli('alerts', 'list', '-o', 'json', '--limit', '0')) as
      | { scenario: string; source: { value: string }; machine_id: string }[]
      | null;
    return (alerts ?? []).map(({ scenario, source, machine_id }) => ({
      scenario,
      value: source.value,
      machine: machine_id,
    }));
  }
}
