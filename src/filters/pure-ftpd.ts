/**
 * Pure-FTPd (src/ftpd.c logfile, src/messages_*.h): `(?@address) [WARNING] ` and a message. Its
 * language is chosen when Pure-FTPd is built; its character set may be an old one or UTF-8. So the
 * patterns take any bytes outside ASCII for letters outside ASCII. The client chooses the user
 * name, which stands in brackets behind the address.
 */
import type { Filter, Token } from '../compiler/pattern.ts';
import { choice, either, ip, literal, until, userUntil } from './tokens.ts';

const ascii = Array.from({ length: 128 }, (_, code) => String.fromCharCode(code)).join('');
/** Letters outside ASCII. */
const foreign: Token = { kind: 'span', of: { bytes: ascii, not: true }, min: 1, max: 255 };
/** Letters outside ASCII, and blanks between them. */
const foreignWords: Token = { kind: 'span', of: { bytes: ascii.replace(' ', ''), not: true }, min: 1, max: 255 };

/** Before login the name is a question mark; in some releases it is the name of an account. */
const client: Token[] = [
  literal('('),
  either([until('@)'), literal('@'), until('@)'), literal('@')], [until('@)'), literal('@')]),
  ip,
  literal(') [WARNING] '),
];

const user: Token[] = [literal('['), userUntil(']', 0), literal(']')];

const host = 'Mar  4 05:06:07 files pure-ftpd:';

export const pureFtpd: Filter = {
  name: 'pure-ftpd',
  about: 'Pure-FTPd: wrong user or password, in every language it speaks',
  prefixes: ['syslog'],
  tags: ['pure-ftpd', 'pure-ftpd-mysql', 'pure-ftpd-ldap', 'pure-ftpd-postgresql', 'pure-ftpd-virtualchroot'],
  patterns: [
    {
      name: 'authentication-failed',
      tokens: [
        ...client,
        choice(
          'Authentication failed for user ',
          'Godkendelse mislykkedes for ',
          "Erreur d'authentification pour l'utilisateur ",
          "Autenticazione falita per l'utente ",
          'Autorisatie faalde voor gebruiker ',
          'Godkjennelse mislyktes for ',
          'Autentificare esuata pentru utilizatorul ',
          'Autentifikacia uzivatela zlyhala ',
          'Autentikimi nuk u krye dot per user ',
        ),
        ...user,
      ],
      sample: `${host} (?@192.0.2.7) [WARNING] Authentication failed for user [alice]`,
      counter: `${host} (?@192.0.2.7) [INFO] New connection from 192.0.2.7`,
    },
    {
      name: 'authentication-failed-accented',
      tokens: [
        ...client,
        either(
          [literal('Authentifizierung fehlgeschlagen f'), foreign, literal('r Benutzer ')],
          [literal('Autentificaci'), foreign, literal('n fallida para el usuario ')],
          [literal('Azonos'), foreign, literal('t'), foreign, literal('s sikertelen ')],
          [literal('Autentica'), foreign, literal('o falhou para usu'), foreign, literal('rio ')],
          [literal('Autentifikace u'), foreign, literal('ivatele selhala ')],
          [
            literal('Autentyfikacja nie powiod'),
            foreign,
            literal('a si'),
            foreign,
            literal(' dla u'),
            foreign,
            literal('ytkownika '),
          ],
          [
            literal('Beh'),
            foreign,
            literal('righetskontroll misslyckas f'),
            foreign,
            literal('r anv'),
            foreign,
            literal('ndare '),
          ],
        ),
        ...user,
      ],
      sample: `${host} (?@192.0.2.7) [WARNING] Authentifizierung fehlgeschlagen für Benutzer [alice].`,
      counter: `${host} (?@192.0.2.7) [WARNING] Verzeichnis für Benutzer [alice] fehlt`,
    },
    {
      name: 'authentication-failed-name-first',
      tokens: [
        ...client,
        ...user,
        either(
          [literal(" c'est un batard, il connait pas son code")],
          [
            literal(' kullan'),
            foreign,
            literal('c'),
            foreign,
            literal('s'),
            foreign,
            literal(' i'),
            foreign,
            literal('in giri'),
          ],
          [literal(' '), foreign, literal(' '), foreign],
        ),
      ],
      sample: `${host} (?@192.0.2.7) [WARNING] [alice] kullanıcısı için giriş hatalı`,
      counter: `${host} (?@192.0.2.7) [WARNING] [alice] is a directory`,
    },
    {
      // Russian and Chinese: only the user name holds ASCII letters.
      name: 'authentication-failed-foreign',
      tokens: [...client, foreignWords, ...user],
      sample: `${host} (?@192.0.2.7) [WARNING] Авторизация не удалась пользователю [alice]`,
      counter: `${host} (?@192.0.2.7) [WARNING] Can't login as [alice]: account disabled`,
    },
  ],
};
