/** Any service's failed login as pam_unix writes it; see pam.ts. */
import type { Filter } from '../compiler/pattern.ts';
import { pamAmbiguous, pamFailed, pamUnix } from './pam.ts';

export const pamGeneric: Filter = {
  name: 'pam-generic',
  about: 'Linux-PAM: failed logins of any service, as pam_unix reports them',
  prefixes: ['syslog'],
  ignore: [pamAmbiguous(pamUnix, 'login')],
  patterns: [pamFailed(pamUnix, 'login')],
};
