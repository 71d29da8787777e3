/**
 * Debian's CrowdSec and PostgreSQL, unpacked under build/fleet: nothing is installed.
 */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { libraries, unpack } from '../../scripts/lab/debian.ts';

const root = join(import.meta.dirname, '..', '..');
export const folder = join(root, 'build', 'fleet');
const postgres = ['postgresql-15', 'postgresql-client-15', 'libpq5'];
const postgresFolder = join(folder, 'usr/lib/postgresql/15/bin');

export const programs = {
  crowdsec: join(folder, 'usr/bin/crowdsec'),
  cscli: join(folder, 'usr/bin/cscli'),
  initdb: join(postgresFolder, 'initdb'),
  postgres: join(postgresFolder, 'postgres'),
  createdb: join(postgresFolder, 'createdb'),
};

/** The profiles in the package: how it treats alerts without decisions. */
export const profiles = join(folder, 'etc/crowdsec/profiles.yaml');
export const simulation = join(folder, 'etc/crowdsec/simulation.yaml');

export const environment = {
  PATH: process.env.PATH,
  LC_ALL: 'C',
  LD_LIBRARY_PATH: join(folder, 'usr/lib', libraries),
};

/** Unpacks only CrowdSec, if it is missing; throws if it is not available. */
export function unpackCrowdSec(): void {
  if (!existsSync(programs.crowdsec)) unpack(folder, ['crowdsec']);
}

/** Unpacks what is missing; throws if something is not available. */
export function unpackPackages(): void {
  unpackCrowdSec();
  if (!existsSync(programs.postgres)) unpack(folder, postgres);
}
