/**
 * A real Prometheus scrapes the real daemon: its checker accepts the page and our rules, and each
 * query of the dashboard and of the rules gets an answer.
 */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Daemon } from '../../scripts/lab/daemon.ts';
import { temporaryDirectory } from '../support/control.ts';
import { tool, toolEnvironment } from '../support/tools.ts';
import { until } from '../support/until.ts';

const root = join(import.meta.dirname, '../..');
const rulesFile = join(root, 'monitoring/alert-rules.yml');
const prometheus = tool('prometheus');
const promtool = tool('promtool');

interface Panel {
  title: string;
  type: string;
  targets: { expr: string }[];
}
const { panels } = JSON.parse(readFileSync(join(root, 'monitoring/grafana-dashboard.json'), 'utf8')) as {
  panels: Panel[];
};
const queries = panels.flatMap(({ title, targets }) =>
  targets.map(({ expr }) => [title, expr.replaceAll('$__rate_interval', '1m')] as const),
);
const alerts = [...readFileSync(rulesFile, 'utf8').matchAll(/- alert: (\w+)\n\s+expr: (.+)\n/g)].map(
  ([, name = '', expr = '']) => [name, expr] as const,
);

/** A port that is free now. */
async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as { port: number };
  await new Promise((resolve) => server.close(resolve));
  return port;
}

describe.skipIf(prometheus === undefined || promtool === undefined)('Prometheus', () => {
  const home = temporaryDirectory();
  let daemon: Daemon;
  let child: ChildProcess;
  let page: string;
  let server: string;
  let output = '';

  const answer = async (query: string): Promise<{ status: string; data: { result: unknown[] } }> => {
    const response = await fetch(`${server}/api/v1/query?query=${encodeURIComponent(query)}`);
    return (await response.json()) as { status: string; data: { result: unknown[] } };
  };

  beforeAll(async () => {
    const port = await freePort();
    const log = join(home.path, 'auth.log');
    writeFileSync(log, '');
    const settings = `[firewall]\nbackend = "log-only"\n[metrics]\nport = ${port}\n[jails.sshd]\nlogpath = "${log}"\n`;
    daemon = await Daemon.start(home.path, settings);
    page = await (await fetch(`http://127.0.0.1:${port}/metrics`)).text();
    const config = join(home.path, 'prometheus.yml');
    writeFileSync(
      config,
      `global: { scrape_interval: 1s, evaluation_interval: 1s }
rule_files: ["${rulesFile}"]
scrape_configs:
  - job_name: fail2zig
    static_configs: [{ targets: ["127.0.0.1:${port}"] }]
`,
    );
    const own = await freePort();
    server = `http://127.0.0.1:${own}`;
    const options = [`--config.file=${config}`, `--storage.tsdb.path=${join(home.path, 'data')}`];
    child = spawn(
      'setpriv',
      ['--pdeathsig', 'KILL', prometheus!, ...options, `--web.listen-address=127.0.0.1:${own}`],
      { stdio: ['ignore', 'ignore', 'pipe'], env: toolEnvironment },
    );
    child.stderr!.on('data', (chunk) => {
      output += chunk;
    });
    const twice = 'count_over_time(fail2zig_lines_total[1m]) > 2';
    const isScraped = async () => (await answer(twice).catch(() => undefined))?.data?.result.length === 1;
    await until(isScraped, { withinMs: 60_000, what: 'three scrapes' });
  });

  afterAll(async () => {
    child?.kill('SIGKILL');
    await daemon?.stop();
    home.remove();
  });

  test('promtool finds nothing in the page, and something in a broken one', () => {
    const check = (input: string) =>
      spawnSync(promtool!, ['check', 'metrics'], { input, encoding: 'utf8', env: toolEnvironment });
    const { status, stdout, stderr } = check(page);
    expect({ status, said: stdout + stderr }).toEqual({ status: 0, said: '' });
    expect(check(page.replace(/^# HELP fail2zig_lines_total.*\n/m, '')).status).not.toBe(0);
  });

  test('promtool takes the rules', () => {
    const { status, stdout } = spawnSync(promtool!, ['check', 'rules', rulesFile], {
      encoding: 'utf8',
      env: toolEnvironment,
    });
    expect(stdout).toContain(`${alerts.length} rules found`);
    expect(status).toBe(0);
  });

  test.each(queries)('the panel "%s" shows something', async (_, expr) => {
    const { status, data } = await answer(expr);
    expect({ status, shown: data?.result.length > 0 }, output.slice(-500)).toEqual({ status: 'success', shown: true });
  });

  test.each(alerts)('the alert %s can be asked', async (_, expr) => {
    expect(await answer(expr)).toMatchObject({ status: 'success' });
    // Every figure that it names is on the page.
    for (const [name] of expr.matchAll(/fail2zig_\w+/g))
      expect(page).toContain(`# TYPE ${name.replace(/_bucket$/, '')} `);
  });

  test('the alert about problems is raised for a dry run', async () => {
    const isRaised = async () => (await answer('ALERTS{alertname="Fail2zigProblem"}')).data.result.length === 1;
    await until(isRaised, { withinMs: 30_000, what: 'the alert' });
  });
});
