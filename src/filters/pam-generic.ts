/** Any service's failed login as pam_unix writes it; see pam.ts. */
import type { Filter } from '../compiler/pattern.ts';
import { pamAmbiguous, pamFailed, pamUnix } from './pam.ts';
import { optional } from './tokens.ts';

/** Before 2006 the module stood behind the service's name: `pop(pam_unix)[811]: `. */
const module = [optional(...pamUnix)];

export const pamGeneric: Filter = {
  name: 'pam-generic',
  about: 'Linux-PAM: failed logins of any service, as pam_unix reports them',
  prefixes: ['syslog'],
  ignore: [pamAmbiguous(module, 'login')],
  patterns: [pamFailed(module, 'login')],
};
