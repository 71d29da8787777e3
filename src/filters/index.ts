/** Every built-in filter. The position is the filter's number in the engine; add yours in one line, anywhere. */
import type { Filter } from '../compiler/pattern.ts';
import { apache } from './apache.ts';
import { gitlab } from './gitlab.ts';
import { grafana } from './grafana.ts';
import { haproxy } from './haproxy.ts';
import { nginx } from './nginx.ts';
import { phpmyadmin } from './phpmyadmin.ts';
import { postfix } from './postfix.ts';
import { roundcube } from './roundcube.ts';
import { squid } from './squid.ts';
import { sshd } from './sshd.ts';
import { traefik } from './traefik.ts';
import { vaultwarden } from './vaultwarden.ts';
import { webmin } from './webmin.ts';

export const filters: Filter[] = [
  sshd,
  ...apache,
  ...nginx,
  gitlab,
  grafana,
  haproxy,
  phpmyadmin,
  ...postfix,
  roundcube,
  squid,
  traefik,
  vaultwarden,
  webmin,
];
