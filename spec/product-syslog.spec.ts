/**
 * The log in syslog, if configured: over a datagram socket at a path, in the form of RFC 5424.
 */
import assert from 'node:assert/strict';
import { closeSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { Log } from '../src/log.ts';
import { native } from '../src/native.ts';
import { temporaryDirectory } from '../test/support/control.ts';
import { FakeServiceManager } from '../test/support/service-manager.ts';
import { until } from '../test/support/until.ts';
import { claim, given, sabotaged, twin } from './claim.ts';
import { compileText } from './support/configuration.ts';

/** Priority, version, time, host, program, process, kind, structure, text (RFC 5424, 6). */
const form = /^<([0-9]+)>1 ([-0-9]+T[:0-9]+\.[0-9]{3}Z) - fail2zig ([0-9]+) - - ([ -~]+)$/;

type Make = (fd: number, path: string) => Log;

const make: Make = (fd, path) => new Log({ level: 'info', syslog: { fd, path } });

claim(
  'LP-32',
  given(make),
  async (logOf) => {
    const directory = temporaryDirectory();
    const path = join(directory.path, 'log');
    const fd = native.datagramOpen();
    const { log } = compileText(`[log]\ntarget = "syslog"\nsocket = "${path}"\n`);
    assert.equal(log.syslog, path, 'the configuration');
    let listener = await FakeServiceManager.start(path);
    try {
      const said = logOf(fd, path);
      said.error('the kernel refuses', { jail: 'sshd', reason: 'line\nfeed \u001b[2J' });
      said.record('banned', { address: '192.0.2.1' });
      said.debug('not at this level');
      await until(() => listener.told.length >= 2, { what: 'two lines', withinMs: 5_000 }).catch(() => {});
      const lines = listener.told.map(({ text }) => form.exec(text)?.slice(1) ?? [text]);
      assert.deepEqual(
        lines.map(([priority, , pid, text]) => [priority, pid, text]),
        [
          ['27', String(process.pid), 'the kernel refuses jail=sshd reason="line\\nfeed \\x1b[2J"'],
          ['30', String(process.pid), 'banned address=192.0.2.1'],
        ],
        'two lines in the form of RFC 5424',
      );
      await listener.stop();
      said.info('nobody hears');
      assert.equal(said.linesLost, 1, 'what nobody hears is counted');
      rmSync(path);
      listener = await FakeServiceManager.start(path);
      said.info('somebody hears again');
      await until(() => listener.told.length >= 1, { what: 'a line', withinMs: 5_000 }).catch(() => {});
      assert.match(listener.told[0]?.text ?? '', /somebody hears again$/, 'a listener that was started anew');
      return 'lines with priority, time and process over a datagram socket; one is lost and counted while nobody listens';
    } finally {
      await listener.stop();
      closeSync(fd);
      directory.remove();
    }
  },
  [
    sabotaged('syslog is told without a priority', /^two lines in the form/),
    twin(
      'a log that stays with the listener that it found',
      given<Make>((_, path) => {
        const connected = native.datagramTo(path);
        const write = (line: string): void => {
          const bytes = Buffer.from(line.trimEnd());
          if (native.writeNow(connected, bytes) < 0) throw new Error('not sent');
        };
        return Object.assign(new Log({ level: 'info', syslog: { fd: connected, path }, write }));
      }),
      /^a listener that was started anew/,
    ),
  ],
  { needs: ['linux'], timeoutMs: 60_000 },
);
