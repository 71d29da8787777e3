/**
 * Proxmox VE, Mail Gateway, Backup Server and Datacenter Manager: `authentication failure; rhost=A
 * user=U msg=…`. What the client chooses stands behind the address. Backup Server and Datacenter
 * Manager also keep an `auth.log` of their own.
 */
import type { Filter } from '../compiler/pattern.ts';
import { ip, literal, optional, some, userUntil } from './tokens.ts';

export const proxmox: Filter = {
  name: 'proxmox',
  about: 'Proxmox: failed logins to the web interface and the API',
  prefixes: ['syslog', 'time'],
  tags: [
    'pvedaemon',
    'pveproxy',
    'pmgdaemon',
    'pmgproxy',
    'proxmox-backup-proxy',
    'proxmox-backup-api',
    'proxmox-datacenter-privileged-api',
    'proxmox-datacenter-api',
  ],
  patterns: [
    {
      name: 'login-failed',
      tokens: [
        literal('authentication failure; rhost='),
        ip,
        optional(literal(':'), some('digit', 5)),
        literal(' user='),
        userUntil(' ', 0),
      ],
      sample:
        'Mar  4 05:06:07 pve pvedaemon[811]: authentication failure; rhost=::ffff:192.0.2.7 user=root@pam msg=Authentication failure',
      counter: "Mar  4 05:06:07 pve pvedaemon[811]: <root@pam> successful auth for user 'root@pam'",
    },
  ],
};
