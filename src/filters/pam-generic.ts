/**
 * A failed login of any service, as PAM's modules write it (see pam.ts). A process serves one
 * attempt at a time.
 */
import type { Filter } from '../compiler/pattern.ts';
import { pamAmbiguous, pamVerdicts } from './pam.ts';

export const pamGeneric: Filter = {
  name: 'pam-generic',
  about: 'Linux-PAM: failed logins of any service, as pam_unix and other modules report them',
  prefixes: ['syslog'],
  connection: 'process',
  ignore: [pamAmbiguous('login')],
  patterns: pamVerdicts('login'),
};
