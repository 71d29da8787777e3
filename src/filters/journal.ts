/**
 * What each built-in filter reads from the journal: the units whose processes write for it, and the
 * syslog identifiers that other processes use. systemd itself states the unit of a process, so no
 * other process can write under its name. An identifier is only what a process says about itself;
 * so it is not believed if systemd counts the process to a login session. All instances of a
 * template unit (`sshd@.service`) share a slice.
 *
 * A filter without a row: its service writes files of its own and nothing to the journal.
 */
export interface JournalOrigin {
  /** Names without `.service`. A name that ends in `@` is a template. */
  units: readonly string[];
  /** Exact names. The last byte may be `*`. */
  identifiers: readonly string[];
  /** Whatever any system service writes. */
  any?: true;
}

type Row = [filters: string, units: string, identifiers: string];

const postfixUnits = 'postfix postfix@ postfix@-';
const dovecotUnits = 'dovecot';
const cyrusServices = 'imap imapd imaps pop3 pop3d pop3s http httpd https nntp nntpd nntps';
const sieveServices = 'sieve sieved timsieve timsieved managesieve';
const ofCyrus = (services: string): string =>
  `${services} ${services
    .split(' ')
    .map((service) => `cyrus/${service}`)
    .join(' ')}`;

const rows: readonly Row[] = [
  ['sshd', 'ssh sshd ssh@ sshd@', 'sshd ssh sshd-session sshd-auth sshd(pam_unix)'],
  [
    'apache-auth apache-badbots apache-noscript apache-overflows apache-botsearch apache-modsecurity apache-nohome apache-shellshock zoneminder php-url-fopen',
    'apache2 httpd',
    'apache* httpd*',
  ],
  ['asterisk', 'asterisk', 'asterisk'],
  [
    'courier-auth',
    'courier-imap courier-imap-ssl courier-pop courier-pop-ssl',
    'imap* pop3* courierimap* courierpop3*',
  ],
  ['courier-smtp', 'courier-mta courier-msa', 'courieresmtpd courieresmtpd-*'],
  ['cyrus-imap', 'cyrus-imapd', ofCyrus(cyrusServices)],
  ['sieve', 'cyrus-imapd', ofCyrus(sieveServices)],
  ['dovecot', dovecotUnits, 'dovecot dovecot-auth auth auth-worker*'],
  ['dante', 'danted sockd', 'danted sockd'],
  ['dropbear', 'dropbear dropbear@', 'dropbear'],
  ['exim exim-spam', 'exim4 exim', 'exim exim4'],
  ['grafana', 'grafana-server', 'grafana grafana-server'],
  ['haproxy-http-auth', 'haproxy', 'haproxy'],
  ['mysqld-auth', 'mysql mysqld mariadb mariadb@', 'mysqld mysqld_safe mysqld-* mariadbd mariadbd-* mariadb mysql'],
  ['named-refused', 'named bind9 named-chroot', 'named named-*'],
  [
    'nginx-http-auth nginx-limit-req nginx-botsearch nginx-bad-request nginx-forbidden nginx-modsecurity nginx-mail-auth',
    'nginx',
    'nginx*',
  ],
  ['openvpn', 'openvpn openvpn@ openvpn-server@ openvpn-client@', 'ovpn-* openvpn*'],
  ['phpmyadmin-syslog', '', 'phpMyAdmin'],
  ['postfix', postfixUnits, 'postfix postfix/* postfix-* postfix.* postfix@*'],
  ['proftpd', 'proftpd', 'proftpd session'],
  [
    'proxmox',
    'pvedaemon pveproxy pmgdaemon pmgproxy proxmox-backup proxmox-backup-proxy',
    'pvedaemon pveproxy pmgdaemon pmgproxy proxmox-backup-proxy proxmox-backup-api proxmox-datacenter-privileged-api proxmox-datacenter-api',
  ],
  [
    'pure-ftpd',
    'pure-ftpd pure-ftpd-mysql pure-ftpd-ldap pure-ftpd-postgresql',
    'pure-ftpd pure-ftpd-mysql pure-ftpd-ldap pure-ftpd-postgresql pure-ftpd-virtualchroot',
  ],
  ['recidive', 'fail2zig fail2ban', 'fail2zig fail2ban fail2ban.actions fail2ban.server.actions fail2ban-server'],
  ['roundcube-auth', '', 'roundcube'],
  ['sendmail-auth sendmail-reject', 'sendmail', 'sendmail sm-*'],
  ['squid', 'squid', 'squid (squid*'],
  ['vaultwarden', 'vaultwarden', 'vaultwarden bitwarden_rs'],
  ['vsftpd', 'vsftpd vsftpd@', 'vsftpd vsftpd(pam_unix)'],
  ['webmin-auth', 'webmin usermin', 'webmin usermin'],
  ['uwimap-auth', '', 'imapd ipop3d'],
  ['solid-pop3d', 'solid-pop3d', 'solid-pop3d'],
  ['perdition', 'perdition', 'perdition*'],
  ['qmail', 'qmail', 'qmail qmail-* rblsmtpd'],
  ['bitwarden', 'bitwarden', 'Bitwarden-Identity bitwarden-identity'],
  ['froxlor-auth', '', 'froxlor Froxlor'],
  ['guacamole', 'tomcat tomcat9 tomcat10 guacamole', 'tomcat* guacamole* server'],
  ['horde', '', 'HORDE'],
  ['sogo-auth', 'sogo sogod', 'sogod sogo'],
  ['nextcloud', '', 'Nextcloud nextcloud'],
  ['authelia', 'authelia', 'authelia'],
  ['keycloak', 'keycloak', 'keycloak kc.sh'],
  ['jellyfin', 'jellyfin', 'jellyfin'],
  ['home-assistant', 'home-assistant home-assistant@ homeassistant hass', 'hass homeassistant home-assistant'],
  ['gitea', 'gitea', 'gitea'],
  ['forgejo', 'forgejo', 'forgejo'],
  ['wordpress', '', 'wordpress* wp wp(*'],
  ['immich', 'immich immich-server', 'immich*'],
  ['mattermost', 'mattermost', 'mattermost'],
  ['stunnel', 'stunnel stunnel4 stunnel@', 'stunnel stunnel4 stunnel5'],
  ['softethervpn', 'softether-vpnserver vpnserver', 'vpnserver* softether*'],
  ['nsd', 'nsd', 'nsd'],
  ['scanlogd', 'scanlogd', 'scanlogd'],
  ['xinetd-fail', 'xinetd', 'xinetd'],
  ['nagios', 'nagios-nrpe-server nrpe', 'nrpe'],
  ['freeswitch', 'freeswitch', 'freeswitch'],
  ['murmur', 'mumble-server murmur', 'murmurd mumble-server'],
  ['znc-adminlog', 'znc', 'znc'],
  ['slapd', 'slapd', 'slapd'],
  ['gssftpd', '', 'ftpd'],
  ['wuftpd', '', 'wu-ftpd wu-ftpd(pam_unix)'],
  ['xrdp', 'xrdp xrdp-sesman', 'xrdp-sesman xrdp-sesexec'],
  ['screensharingd', '', 'screensharingd'],
  ['monit', 'monit', 'monit'],
  ['lighttpd-auth', 'lighttpd', 'lighttpd'],
  ['suhosin', 'apache2 httpd lighttpd', 'suhosin lighttpd'],
  ['drupal-auth', '', 'drupal'],
  // These services write to standard output, and systemd hands it to the journal.
  ['gitlab', 'gitlab-runsvdir gitlab', ''],
  ['traefik-auth', 'traefik', 'traefik'],
  ['ejabberd-auth', 'ejabberd', 'ejabberd ejabberdctl'],
  ['mongodb-auth', 'mongod mongodb', 'mongod'],
  ['portsentry', 'portsentry', 'portsentry'],
  ['3proxy', '3proxy', '3proxy'],
  ['cowrie', 'cowrie', 'cowrie'],
  ['selinux-ssh', '', 'audit auditd'],
  ['counter-strike', 'counter-strike hlds', 'hlds'],
  ['openhab', 'openhab', 'openhab'],
  ['mssql-auth', 'mssql-server', 'sqlservr'],
];

const words = (text: string): string[] => text.split(' ').filter((word) => word !== '');

/** By the name of the filter. */
export const journalOrigins: ReadonlyMap<string, JournalOrigin> = new Map<string, JournalOrigin>([
  ['pam-generic', { units: [], identifiers: [], any: true }],
  ...rows.flatMap(([filters, units, identifiers]) =>
    words(filters).map((name): [string, JournalOrigin] => [
      name,
      { units: words(units), identifiers: words(identifiers) },
    ]),
  ),
]);
