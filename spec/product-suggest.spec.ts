/**
 * A suggested configuration, over a small system made of files.
 */
import assert from 'node:assert/strict';
import { mkdirSync, readdirSync, readFileSync, statSync, symlinkSync, utimesSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { factsOf } from '../src/suggest/host.ts';
import { writeSuggestion } from '../src/suggest/write.ts';
import { type CompiledJails, compileJails } from '../test/support/compile-jails.ts';
import { temporaryDirectory } from '../test/support/control.ts';
import { claim, given, sabotaged, twin } from './claim.ts';

type Suggest = (root: string, session: string) => string;

const suggest: Suggest = (root, session) => writeSuggestion(factsOf(root, session));

const system = {
  '/var/log/journal/0123456789abcdef0123456789abcdef/system.journal': '',
  '/usr/lib/systemd/system/ssh.service': '',
  '/etc/ssh/sshd_config': 'Port 2222\nInclude more.conf\nMatch User git\nPort 24\n',
  '/etc/ssh/more.conf': 'ListenAddress 192.0.2.1:2022\nListenAddress 192.0.2.2\n',
  '/var/log/nginx/error.log': '',
  // Left from the time before the journal; and a masked service.
  '/var/log/auth.log': '',
  '/var/log/mail.log': '',
  '/usr/lib/systemd/system/postfix.service': '',
  '/etc/systemd/system/ssh.service.d/own.conf': '',
  '/proc/net/tcp': '  sl local rem st\n   0: 00000000:238C 00000000:0000 0A 0:0 0:0 0 0 0 7 1\n',
};

/** Every file below `root` with what it holds and when it was written. */
function contents(root: string): unknown[] {
  return readdirSync(root, { recursive: true, encoding: 'utf8' })
    .toSorted()
    .map((path) => join(root, path))
    .map((path) => (statSync(path).isFile() ? [path, readFileSync(path, 'utf8'), statSync(path).mtimeMs] : path));
}

claim(
  'X-suggest',
  given(suggest),
  (made) => {
    const root = temporaryDirectory();
    try {
      for (const [path, text] of Object.entries(system)) {
        mkdirSync(join(root.path, dirname(path)), { recursive: true });
        writeFileSync(join(root.path, path), text);
      }
      utimesSync(join(root.path, '/var/log/auth.log'), 1_700_000_000, 1_700_000_000);
      symlinkSync('/dev/null', join(root.path, '/etc/systemd/system/postfix.service'));
      const before = contents(root.path);
      const text = made(root.path, '203.0.113.7');
      assert.deepEqual(contents(root.path), before, 'files of the host that changed');
      let compiled: CompiledJails;
      try {
        compiled = compileJails(text);
      } catch (error) {
        assert.fail(`check refuses it: ${(error as Error).message}`);
      }
      const { jails, metricsPort } = compiled;
      assert.deepEqual(
        jails.map(({ name, logpath, journal }) => [name, journal ? 'journal' : logpath]),
        [
          ['sshd', 'journal'],
          ['nginx-http-auth', ['/var/log/nginx/*error.log']],
        ],
        'services and where their lines are',
      );
      assert.deepEqual(
        jails[0]?.ports.map(({ first }) => first),
        [2022, 2222],
        'ports of sshd',
      );
      assert.notEqual(metricsPort, 9100, 'the metrics page is on the port of another program');
      assert.match(text, /^# ignoreip = \["203\.0\.113\.7"\]$/m, "the operator's address is no comment");
      return 'sshd by the journal on the ports of its configuration, nginx by its log; the metrics page beside another program';
    } finally {
      root.remove();
    }
  },
  [
    twin(
      'one that writes the file itself',
      given<Suggest>((root, session) => {
        const text = suggest(root, session);
        writeFileSync(join(root, 'etc/fail2zig.toml'), text);
        return text;
      }),
      /files of the host that changed/,
    ),
    sabotaged('the suggested jail of a service without a log file names one all the same', /check refuses it/),
    twin(
      'one that names a log that is not there',
      given<Suggest>((root, session) =>
        suggest(root, session).replace('source = "journal"', 'logpath = "/var/log/auth.log"'),
      ),
      /services and where their lines are/,
    ),
    sabotaged('ports that stand in a Match block are taken for those of sshd', /ports of sshd/),
    twin(
      'one that looks for no other program',
      given<Suggest>((root, session) => writeSuggestion({ ...factsOf(root, session), metricsPort: 9100 })),
      /the metrics page is on the port of another program/,
    ),
    twin(
      'one that lets the operator in for ever, unasked',
      given<Suggest>((root, session) => suggest(root, session).replace('# ignoreip', 'ignoreip')),
      /address is no comment/,
    ),
  ],
);
