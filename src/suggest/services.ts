/**
 * Services that a host may run: the filters that guard each, where its package writes logs on
 * Debian, Ubuntu, Fedora and their relatives, and its ports. If several services share a log, the
 * log does not prove that one of them is there; so its unit, init script or configuration must
 * exist too.
 */

export interface Service {
  name: string;
  /** Filters for failed logins; each becomes a jail. */
  filters: readonly string[];
  /** Further filters (scanners, limits); each becomes a commented-out jail. */
  more: readonly string[];
  /** As `port` in the configuration; '': the ports of sshd. */
  port: string;
  /** Reached over UDP too. */
  udp: boolean;
  /** Its own log files, or one of `sharedLogs`. */
  logs: readonly string[] | keyof typeof sharedLogs;
  /** Files that exist only where the service is installed, beside its units. */
  settings: readonly string[];
}

/** Syslog's files, by facility; the first one that exists is taken. */
export const sharedLogs = {
  auth: ['/var/log/auth.log', '/var/log/secure'],
  mail: ['/var/log/mail.log', '/var/log/maillog'],
  daemon: ['/var/log/syslog', '/var/log/messages', '/var/log/daemon.log'],
} as const;

type Row = [filters: string, more: string, port: string, logs: string, settings?: string];

const web = 'http,https';
const smtp = 'smtp,submission,submissions';
const readMail = 'imap,imaps,pop3,pop3s';
const ftp = 'ftp,ftp-data,ftps,ftps-data';

/** Ports after a "/" are also reached over UDP. */
const rows: Readonly<Record<string, Row>> = {
  sshd: ['sshd', '', '', 'auth', '/etc/ssh/sshd_config'],
  dropbear: ['dropbear', '', 'ssh', 'auth', '/etc/default/dropbear'],
  webmin: ['webmin-auth', '', 'webmin', 'auth', '/etc/webmin/miniserv.conf'],
  proxmox: ['proxmox', '', '8006', 'daemon', '/etc/pve/datacenter.cfg'],
  postfix: ['postfix', '', smtp, 'mail', '/etc/postfix/main.cf'],
  dovecot: ['dovecot', '', `${readMail},sieve,submission,submissions`, 'mail', '/etc/dovecot/dovecot.conf'],
  exim: ['exim', 'exim-spam', smtp, '/var/log/exim4/mainlog /var/log/exim/main.log'],
  sendmail: ['sendmail-auth', 'sendmail-reject', smtp, 'mail', '/etc/mail/sendmail.cf'],
  courier: ['courier-auth courier-smtp', '', `${readMail},${smtp}`, 'mail', '/etc/courier/authdaemonrc'],
  cyrus: ['cyrus-imap sieve', '', `${readMail},sieve`, 'mail', '/etc/imapd.conf'],
  roundcube: ['roundcube-auth', '', web, '/var/log/roundcube/errors.log /var/log/roundcubemail/errors.log'],
  sogo: ['sogo-auth', '', web, '/var/log/sogo/sogo.log'],
  apache: [
    'apache-auth',
    'apache-botsearch apache-shellshock apache-modsecurity',
    web,
    '/var/log/apache2/*error.log /var/log/httpd/*error_log',
  ],
  nginx: ['nginx-http-auth', 'nginx-limit-req nginx-forbidden nginx-modsecurity', web, '/var/log/nginx/*error.log'],
  lighttpd: ['lighttpd-auth', '', web, '/var/log/lighttpd/error.log'],
  haproxy: ['haproxy-http-auth', '', web, '/var/log/haproxy.log'],
  traefik: ['traefik-auth', '', web, '/var/log/traefik/access.log'],
  squid: ['squid', '', '3128,8080', '/var/log/squid/access.log'],
  proftpd: ['proftpd', '', ftp, '/var/log/proftpd/proftpd.log'],
  'pure-ftpd': ['pure-ftpd', '', ftp, 'daemon', '/etc/pure-ftpd/pure-ftpd.conf'],
  vsftpd: ['vsftpd', '', ftp, '/var/log/vsftpd.log'],
  mysql: [
    'mysqld-auth',
    '',
    'mysql',
    '/var/log/mysql/error.log /var/log/mysqld.log /var/log/mysql/mysqld.log /var/log/mariadb/mariadb.log',
  ],
  mongodb: ['mongodb-auth', '', '27017', '/var/log/mongodb/mongod.log'],
  slapd: ['slapd', '', 'ldap,ldaps', 'daemon', '/etc/ldap/slapd.d/cn=config.ldif'],
  asterisk: [
    'asterisk',
    '',
    'sip,sip-tls/',
    '/var/log/asterisk/full /var/log/asterisk/messages /var/log/asterisk/security',
  ],
  freeswitch: ['freeswitch', '', 'sip,sip-tls,5080/', '/var/log/freeswitch/freeswitch.log'],
  openvpn: ['openvpn', '', 'openvpn/', '/var/log/openvpn.log /var/log/openvpn/*.log'],
  murmur: ['murmur', '', '64738/', '/var/log/mumble-server/mumble-server.log'],
  ejabberd: ['ejabberd-auth', '', 'xmpp-client', '/var/log/ejabberd/ejabberd.log'],
  xrdp: ['xrdp', '', 'ms-wbt-server', '/var/log/xrdp-sesman.log'],
  gitlab: ['gitlab', '', web, '/var/log/gitlab/gitlab-rails/application.log'],
  gitea: ['gitea', '', `${web},3000`, '/var/lib/gitea/log/gitea.log /var/log/gitea/gitea.log'],
  forgejo: ['forgejo', '', `${web},3000`, '/var/lib/forgejo/log/forgejo.log /var/log/forgejo/forgejo.log'],
  grafana: ['grafana', '', `${web},3000`, '/var/log/grafana/grafana.log'],
  nextcloud: ['nextcloud', '', web, '/var/log/nextcloud/nextcloud.log /var/www/nextcloud/data/nextcloud.log'],
  jellyfin: ['jellyfin', '', `${web},8096,8920`, '/var/log/jellyfin/*.log'],
  monit: ['monit', '', '2812', '/var/log/monit.log'],
};

const words = (text: string): string[] => text.split(' ').filter((word) => word !== '');

export const services: readonly Service[] = Object.entries(rows).map(
  ([name, [filters, more, port, logs, settings = '']]) => ({
    name,
    filters: words(filters),
    more: words(more),
    port: port.replace('/', ''),
    udp: port.endsWith('/'),
    logs: logs in sharedLogs ? (logs as keyof typeof sharedLogs) : words(logs),
    settings: words(settings),
  }),
);
