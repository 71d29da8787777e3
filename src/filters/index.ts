/**
 * Every built-in filter. The position is the filter's number in the engine. Add yours in one line,
 * anywhere.
 */
import type { Filter } from '../compiler/pattern.ts';
import { apache } from './apache.ts';
import { asterisk } from './asterisk.ts';
import { courierAuth } from './courier-auth.ts';
import { cyrusImap } from './cyrus-imap.ts';
import { dante } from './dante.ts';
import { dovecot } from './dovecot.ts';
import { dropbear } from './dropbear.ts';
import { exim } from './exim.ts';
import { gitlab } from './gitlab.ts';
import { grafana } from './grafana.ts';
import { haproxy } from './haproxy.ts';
import { mailServers } from './mail-servers.ts';
import { mysqldAuth } from './mysqld-auth.ts';
import { named } from './named.ts';
import { networkServices } from './network-services.ts';
import { nginx } from './nginx.ts';
import { openvpn } from './openvpn.ts';
import { pamGeneric } from './pam-generic.ts';
import { phpmyadmin } from './phpmyadmin.ts';
import { postfix } from './postfix.ts';
import { proftpd } from './proftpd.ts';
import { proxmox } from './proxmox.ts';
import { pureFtpd } from './pure-ftpd.ts';
import { recidive } from './recidive.ts';
import { roundcube } from './roundcube.ts';
import { sendmailAuth } from './sendmail-auth.ts';
import { sendmailReject } from './sendmail-reject.ts';
import { sieve } from './sieve.ts';
import { squid } from './squid.ts';
import { sshd } from './sshd.ts';
import { traefik } from './traefik.ts';
import { vaultwarden } from './vaultwarden.ts';
import { vsftpd } from './vsftpd.ts';
import { webApplications } from './web-applications.ts';
import { webmin } from './webmin.ts';

export const filters: Filter[] = [
  sshd,
  ...apache,
  asterisk,
  ...courierAuth,
  ...cyrusImap,
  ...dovecot,
  dropbear,
  ...exim,
  gitlab,
  grafana,
  haproxy,
  mysqldAuth,
  named,
  ...nginx,
  openvpn,
  pamGeneric,
  phpmyadmin,
  ...postfix,
  proftpd,
  proxmox,
  pureFtpd,
  recidive,
  roundcube,
  ...sendmailAuth,
  ...sieve,
  squid,
  traefik,
  vaultwarden,
  vsftpd,
  webmin,
  ...mailServers,
  ...sendmailReject,
  ...webApplications,
  ...networkServices,
  dante,
];
