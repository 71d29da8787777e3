/**
 * CrowdSec, as Debian packages it, over a finished log: its own replay (`-dsn`), with the parsers
 * and scenarios for sshd of the hub that the package brings, its Local API on loopback and a SQLite
 * database that begins empty. It counts overflows: sources that filled a bucket.
 */
import { spawnSync } from 'node:child_process';
import { copyFileSync, cpSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { environment, folder, programs, unpackCrowdSec } from '../test/fleet/packages.ts';

const hub = join(folder, 'usr/share/crowdsec/hub');
const settings = join(folder, 'etc/crowdsec');

/** What the hub's collection for sshd names, and what it stands on. */
const pieces = [
  'parsers/s00-raw/crowdsecurity/syslog-logs.yaml',
  'parsers/s01-parse/crowdsecurity/sshd-logs.yaml',
  'parsers/s02-enrich/crowdsecurity/dateparse-enrich.yaml',
  'scenarios/crowdsecurity/ssh-bf.yaml',
  'scenarios/crowdsecurity/ssh-slow-bf.yaml',
];

const configuration = (home: string): string => `common:
  daemonize: false
  log_media: stdout
  log_level: info
  log_dir: ${home}/
  working_dir: .
config_paths:
  config_dir: ${home}/
  data_dir: ${home}/data/
  simulation_path: ${home}/simulation.yaml
  hub_dir: ${home}/hub/
  index_path: ${home}/hub/.index.json
  notification_dir: ${home}/notifications/
  plugin_dir: ${home}/plugins/
crowdsec_service:
  acquisition_path: ${home}/acquis.yaml
  parser_routines: 1
db_config:
  log_level: error
  type: sqlite
  db_path: ${home}/data/crowdsec.db
  use_wal: true
api:
  client:
    credentials_path: ${home}/credentials.yaml
  server:
    log_level: error
    listen_uri: 127.0.0.1:8080
    profiles_path: ${home}/profiles.yaml
    console_path: ${home}/console.yaml
prometheus:
  enabled: false
`;

/** Unpacks it if it is missing; returns why it cannot be measured, undefined if it can. */
export function crowdsecMissing(): string | undefined {
  try {
    unpackCrowdSec();
    return undefined;
  } catch (error) {
    return `NOT COMPARED with CrowdSec: ${(error as Error).message}`;
  }
}

/** A home directory of its own beside the log, as after an installation; returns the command. */
export function crowdsecCommand(log: string): string[] {
  const home = join(dirname(log), 'crowdsec');
  rmSync(home, { recursive: true, force: true });
  for (const name of ['data', 'hub', 'notifications', 'plugins', 'postoverflows'])
    mkdirSync(join(home, name), { recursive: true });
  for (const piece of pieces) {
    const to = join(home, piece.replace('crowdsecurity/', ''));
    mkdirSync(dirname(to), { recursive: true });
    copyFileSync(join(hub, piece), to);
  }
  cpSync(join(settings, 'patterns'), join(home, 'patterns'), { recursive: true });
  for (const name of ['profiles.yaml', 'simulation.yaml']) copyFileSync(join(settings, name), join(home, name));
  copyFileSync(join(hub, '.index.json'), join(home, 'hub/.index.json'));
  const credentials = 'url: http://127.0.0.1:8080\nlogin: localhost\npassword: of-this-run-alone\n';
  writeFileSync(join(home, 'credentials.yaml'), credentials);
  writeFileSync(join(home, 'console.yaml'), 'share_manual_decisions: false\n');
  writeFileSync(join(home, 'acquis.yaml'), '');
  const config = join(home, 'config.yaml');
  writeFileSync(config, configuration(home));
  const password = ['--password', 'of-this-run-alone', '-f', join(home, 'unused.yaml')];
  const added = spawnSync(programs.cscli, ['-c', config, 'machines', 'add', 'localhost', ...password], {
    env: environment,
    encoding: 'utf8',
  });
  if (added.status !== 0) throw new Error(`cscli: ${added.stderr}`);
  // It prints what it found on standard error.
  const start = ['sh', '-c', `export LD_LIBRARY_PATH="$1"; shift; exec "$@" 2>&1`, 'sh', environment.LD_LIBRARY_PATH];
  return [...start, programs.crowdsec, '-c', config, '-type', 'syslog', '-dsn', `file://${log}`];
}

/** Overflows in its output. */
export const crowdsecFound = (output: string): number => output.split(" performed 'crowdsecurity/ssh-").length - 1;
