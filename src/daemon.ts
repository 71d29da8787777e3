/**
 * The core: builds the running daemon from its rooms. The launch stage starts it with a checked
 * configuration in a memory file; nothing here parses what a person wrote.
 *
 * Start: lock the table → backend (or exit with the error of each) → engine, with a table as large
 * as the ceiling allows → the saved state → control socket and metrics page → log files, each from
 * the saved position; meanwhile bans found in the kernel are adopted. Stop (SIGTERM, SIGINT): read
 * what is written, send what waits, save, close. Bans stay in the kernel until each ends, unless
 * keep_bans is false. SIGHUP stops the daemon if its terminal has gone. Otherwise it only logs that
 * it changes nothing: `fail2zig-client reload` hands over a new configuration (reload.ts), and
 * rotation needs no signal.
 *
 * Exit status: 0 stopped on request; 69 (EX_UNAVAILABLE) no usable backend, or another daemon has
 * the table or the state file; 78 (EX_CONFIG) the ceiling is too small; 70 (EX_SOFTWARE) anything
 * else. With `--check` it only finds out whether the configuration fits under the ceiling.
 */
import { closeSync, rmSync } from 'node:fs';
import { isatty } from 'node:tty';
import { chooseBackend, NoBackendError } from './backends/choose.ts';
import { Clock } from './clock.ts';
import { confine, enforce } from './confined.ts';
import { ControlServer } from './control/server.ts';
import { Enforcer } from './enforcer/enforcer.ts';
import { Ignored } from './enforcer/ignored.ts';
import { LINES } from './engine/counters.ts';
import { type Denial, Engine } from './engine/host.ts';
import { Recorder } from './history/recorder.ts';
import { Telling } from './history/telling.ts';
import { followedFilesUsual, housekeepingMs, jailsMax, jailsMin, otherDescriptorsMax, verdictsMs } from './limits.ts';
import type { Lists } from './lists/lists.ts';
import { Log, type Logger, stderrIsJournal } from './log.ts';
import { CeilingError, ProcessMemory } from './memory/ceiling.ts';
import { residentBytes } from './memory/resident.ts';
import { native } from './native.ts';
import { CrowdedLinks } from './observe/crowded-links.ts';
import { DropTally } from './observe/drop-tally.ts';
import { type Figure, figuresOf } from './observe/figures.ts';
import { LogClocks } from './observe/log-clocks.ts';
import { MetricsServer } from './observe/metrics-server.ts';
import { DaemonOperator } from './operator.ts';
import { isTaken } from './places.ts';
import { Reloader } from './reload.ts';
import { ServiceManager } from './service.ts';
import { InUseError, tableLockPath, takeLock } from './sole.ts';
import { type FileEvent, FileSource, type FileSourceOptions } from './sources/file.ts';
import type { JournalEvent } from './sources/journal/journal.ts';
import { Logs } from './sources/logs.ts';
import { descriptorsMax } from './sources/place.ts';
import { SourceRoutes } from './sources/routes.ts';
import { StateKeeper } from './state/keeper.ts';
import { formatAddress as describe } from './text/address.ts';
import { readCoreConfig } from './text/record.ts';
import type { Address, Backend, CoreConfig, JailConfig, JailScaffold } from './types.ts';
import { exitSoftware, sayUncaught } from './uncaught.ts';
import { version } from './version.ts';

const exitUnavailable = 69;
const exitConfig = 78;

/** A start that cannot go on, with the exit status. */
class StartError extends Error {
  readonly status: number;

  constructor(status: number, message: string) {
    super(message);
    this.status = status;
  }
}

/** A jail with the networks that it never bans. */
type Jail = JailConfig & Pick<JailScaffold, 'lists' | 'allowLists'> & { allow: readonly Address[] };

/** The group that may use the socket and read the records; undefined = no group. */
function groupOf({ groupId }: CoreConfig['control']): number | undefined {
  return groupId < 0 ? undefined : groupId;
}

/** Keeps a second daemon away from our table and our state file; returns the locks' descriptors. */
function takeLocks({ firewall, state }: CoreConfig, log: Logger): number[] {
  const held: number[] = [];
  const take = (path: string, what: string, own: string): void => {
    try {
      held.push(takeLock(path, what, own));
    } catch (error) {
      if (error instanceof InUseError) throw error;
      log.warn('a second daemon would not be noticed', { path, error: (error as Error).message });
    }
  };
  // A dry run changes nothing in the kernel, so it may run beside a daemon that does.
  const isDry = firewall.backend === 'log-only';
  if (!isDry) take(tableLockPath(firewall.table), `table "${firewall.table}"`, 'table of its own (firewall.table)');
  if (state.enabled) {
    const path = `${state.path}${isDry ? '.dry-run' : ''}`;
    take(`${path}.lock`, `state file ${path}`, 'file of its own (state.path)');
  }
  return held;
}

/** The installed backend. Logs the error of each backend that failed before it. */
async function openBackend(config: CoreConfig, jails: Jail[], log: Logger): Promise<Backend> {
  const { firewall, state } = config;
  const record = state.enabled ? `${state.path}.xdp` : undefined;
  const { backend, attempts } = await chooseBackend({ ...firewall, record }, jails, (action) => {
    if (action.verb === 'ban') log.info('would ban', { jail: action.ban.jail, address: describe(action.ban.address) });
  }).catch((error) => {
    throw error instanceof NoBackendError ? new StartError(exitUnavailable, error.message) : error;
  });
  for (const { backend: name, error } of attempts)
    log.warn('backend not usable', { backend: name, error: error.message });
  for (const note of backend.notes ?? []) log.warn(note);
  return backend;
}

/** Lists of addresses: a bundle that is loaded only where lists are configured. */
async function loadLists({ lists = [] }: CoreConfig): Promise<Lists | undefined> {
  return lists.length === 0 ? undefined : new (await import('./lists/lists.ts')).Lists(lists);
}

/** The engine, with the table that the ceiling leaves room for; throws CeilingError. */
function createEngine(
  config: CoreConfig,
  ignored: Ignored,
  memory: ProcessMemory,
  lists: Lists | undefined,
): Promise<Engine> {
  if (lists) memory.lists = lists;
  return Engine.create({
    prepare: native.hugePages,
    jails: config.jails.map((jail, index) => ({ ...jail, ignore: ignored.lists[index]! })),
    shared: ignored.links,
    filters: config.filters,
    tableBytes: (otherBytes) => memory.sizeTable(otherBytes),
    jailsMax: Math.min(jailsMax, Math.max(jailsMin, 2 * config.jails.length)),
    evictionPolicy: config.memory.evictionPolicy,
  });
}

/** What `fail2zig check` asks: whether the ceiling holds this configuration. Opens nothing. */
async function checkMemory(config: CoreConfig): Promise<void> {
  const memory = new ProcessMemory(config.memory.ceilingBytes);
  await createEngine(config, new Ignored(config.jails), memory, await loadLists(config));
}

/** Writes the records to `path`, to journald or syslog, and to the log, but to no place twice. */
function createRecorder(
  { audit, control, handed, log: { syslog } }: CoreConfig,
  path: string | undefined,
  log: Logger,
) {
  const isTwice = handed?.journal !== undefined && stderrIsJournal(process.env, isatty(2));
  const logs = syslog === undefined ? (isTwice ? 'neither' : 'records') : 'records and seals';
  return new Recorder({ ...audit, path, groupId: groupOf(control), log, journal: handed?.journal, logs });
}

/** Creates the rooms that a log line goes through and loads the saved state. Reads no log yet. */
async function compose(config: CoreConfig, log: Logger) {
  // Ignored addresses get a pass rule in the kernel too, since a banned prefix may cover them.
  const ignored = new Ignored(config.jails);
  // All rooms share this array; a reload changes it in place.
  const jails = config.jails as Jail[];
  for (const [index, jail] of jails.entries()) jail.allow = ignored.lists[index]!;
  const memory = new ProcessMemory(config.memory.ceilingBytes);
  const lists = await loadLists(config);
  if (lists) {
    await lists.prepare();
    ignored.isListed = (address) => lists.covers(address);
    lists.dress(jails);
  }
  const backend = await openBackend(config, jails, log);
  const engine = await createEngine(config, ignored, memory, lists);
  memory.govern();
  const clock = new Clock((seconds) => {
    engine.shiftTimes(seconds);
    ignored.shift(seconds);
    engine.setClock(Math.floor(Date.now() / 1000));
    keeper?.changed();
    log.warn('the clock was set: bans and windows keep their remaining time', { seconds });
  });
  // What a dry run decided must not be enforced by a later run.
  const path = backend.holds ? config.state.path : `${config.state.path}.dry-run`;
  const keeper = config.state.enabled
    ? new StateKeeper({
        ...config.state,
        path,
        get jails() {
          // An empty place gets a name that no jail can have.
          return jails.map(({ name }) => name || '-');
        },
        engine,
        ignored,
        log,
        now: clock.now,
      })
    : undefined;
  const resume = keeper?.load();
  const records = config.state.enabled ? `${path}.history` : undefined;
  const recorder = createRecorder(config, records, log);
  await recorder.start();
  // `logs` is assigned below.
  const pathOf = (source: number): string | undefined => logs.status().find((file) => file.source === source)?.path;
  const telling = new Telling({ recorder, log, jails, engine, pathOf });
  const enforcer = new Enforcer({
    engine,
    backend,
    jails,
    ignored,
    now: clock.now,
    log,
    decided: (decision) => telling.decided(decision),
    // A dry run has already said what it would do.
    ...(backend.holds && {
      banned: (ban) => telling.tell('ban', ban),
      restored: (ban) => telling.tell('restored', ban),
    }),
    bansMax: config.firewall.bansMax,
    disturbed: () => lists?.disturbed(),
    changed: () => {
      keeper?.changed();
      logs.wake();
    },
  });
  const drops = new DropTally(backend, log);
  const routes = new SourceRoutes(engine, jails);
  const targets = routes.journal();
  const now = (): number => clock.now() / 1000;
  const drain = (): void => {
    enforcer.wake();
    if (engine.evictionPolicy === 'log_and_drop') engine.takeDenials((denial) => sayDenial(log, jails, denial));
  };
  const waiting = (): number => engine.waiting;
  const files = new FileSource({
    patterns: routes.patterns,
    jailOf: (pattern) => routes.jailOf(pattern),
    network: (pattern) => routes.network(pattern),
    filesMax: Math.min(
      (config.handed?.filesMax ?? followedFilesUsual) - targets.length,
      descriptorsMax() - otherDescriptorsMax,
    ),
    assign: (_path, patterns, previous) => routes.assign(patterns, previous),
    release: (source) => routes.release(source),
    sink: engine,
    now,
    monotonic: () => performance.now(),
    drain,
    waiting,
    lines: () => engine.counter(LINES),
    histories: keeper?.histories,
    event: (event) => sayFile(log, event),
    events: await portableEvents(),
    resume,
  });
  // A bundle that is loaded only where a jail reads the journal.
  const reader = targets.length === 0 ? undefined : await import('./sources/journal/journal.ts');
  const journal =
    reader &&
    new reader.JournalSource({
      directories: config.journal.directories,
      targets,
      findtime: Math.max(...jails.map(({ findtime }) => findtime)),
      sink: engine,
      now,
      drain,
      waiting,
      event: (event) => sayJournal(log, event),
      resume: keeper?.cursors,
      histories: keeper?.histories,
    });
  const logs: Logs = new Logs(files, journal);
  const clocks = new LogClocks({ engine, files, log });
  const crowds = new CrowdedLinks({ engine, ignored, jails, log });
  const rooms = {
    config,
    clock,
    memory,
    backend,
    engine,
    ignored,
    keeper,
    enforcer,
    drops,
    routes,
    files,
    journal,
    logs,
    lists,
  };
  return { ...rooms, clocks, crowds, recorder, telling, log };
}

/** File events for systems without inotify: a bundle that Linux never loads. */
async function portableEvents(): Promise<FileSourceOptions['events']> {
  if (process.platform === 'linux') return undefined;
  const { PortableEvents } = await import('./sources/portable-events.ts');
  return (options) => new PortableEvents(options);
}

type Core = Awaited<ReturnType<typeof compose>>;

/**
 * Opens the control socket and the metrics page. Returns what closes them, in reverse order, and
 * whether both listen.
 */
async function openPages(core: Core, log: Logger) {
  const { config } = core;
  const closers: (() => Promise<unknown>)[] = [];
  let figures: readonly Figure[] = [];
  let control: ControlServer | undefined;
  let metrics: MetricsServer | undefined;
  const reloader = new Reloader(core);
  const operator = new DaemonOperator({
    ...core,
    files: core.logs,
    figures: () => figures,
    reload: (next) => reloader.reload(next),
    pageProblem: () => metrics?.problem,
  });
  if (config.handed?.socket) {
    const groupId = groupOf(config.control);
    control = new ControlServer({
      operator,
      askPeer: native.peerCredentials,
      receive: native.receiveDescriptor,
      groupId,
      log,
      recorder: core.recorder,
    });
    await control.listen(config.handed.socket, config.control.path);
    closers.unshift(() => control!.close());
  }
  figures = figuresOf({ ...core, followed: () => core.logs.status(), control, operator });
  if (config.metrics.enabled) {
    const { filters } = config.handed!;
    // Once it listens, the filter forbids any further listening socket.
    metrics = new MetricsServer({ series: figures, log, late: () => filters && enforce(filters.listening) });
    await metrics.start(config.metrics.bind, config.metrics.port);
    closers.unshift(() => metrics!.close());
  }
  return { operator, closers, isListening: metrics?.problem === undefined };
}

/** Starts the daemon; returns the function that stops it. */
async function start(config: CoreConfig, log: Logger): Promise<() => Promise<void>> {
  const locks = takeLocks(config, log);
  const core = await compose(config, log);
  const { clock, memory, backend, engine, keeper, enforcer, drops, logs, clocks, crowds, recorder, telling, lists } =
    core;
  const lookers = [drops, clock, clocks, crowds, telling];
  const { operator, closers, isListening } = await openPages(core, log);
  logs.start();
  for (const { name: jail, logpath, journal } of operator.idleJails()) {
    if (journal) log.warn('jail reads no log until there is a journal', { jail });
    else log.warn('jail reads no log until a file matches', { jail, logpath: logpath.join(' ') });
  }
  enforcer.start({ adopts: true });
  lists?.start({ backend, enforcer, jails: config.jails, log });
  for (const looker of lookers) looker.start();
  keeper?.start(logs);
  const verdicts = setInterval(() => {
    engine.settleAttempts(Date.now() / 1000);
    enforcer.wake();
  }, verdictsMs);
  const housekeeping = setInterval(() => {
    engine.setClock(Math.floor(Date.now() / 1000));
    log.flush();
  }, housekeepingMs);
  const { name } = backend;
  const { slots } = engine;
  await confine(config.handed!, isListening);
  memory.governor.release();
  for (const remainder of config.handed!.lacking) log.warn('not confined', { remainder });
  log.info('started', { version, backend: name, jails: config.jails.length, slots, residentBytes: residentBytes() });
  for (const part of memory.parts()) log.debug('memory', { ...part });
  const manager = new ServiceManager();
  const bans = () => enforcer.counters.bans.reduce((sum, count) => sum + count, 0);
  manager.ready(() => {
    const [problem = 'no problems'] = operator.problems();
    return `${backend.name}, jails: ${config.jails.filter(isTaken).length}, bans since the start: ${bans()}; ${problem}`;
  });

  return async () => {
    manager.stopping();
    clearInterval(housekeeping);
    clearInterval(verdicts);
    memory.stop();
    for (const looker of lookers) looker.stop();
    logs.drain();
    engine.settleAttempts(Date.now() / 1000, true);
    await lists?.stop();
    await enforcer.stop();
    await keeper?.stop();
    if (!config.firewall.keepBans)
      await backend.remove().catch((error) => log.error('bans stay', { error: error.message }));
    logs.stop();
    for (const close of closers) await close();
    await recorder.close();
    backend.close();
    for (const lock of locks) closeSync(lock);
    log.info('stopped', { bans: bans() });
    log.flush();
  };
}

/** For log_and_drop; the logger limits the number of lines. */
function sayDenial(log: Logger, jails: JailConfig[], { jail, address, time }: Denial): void {
  log.warn('the table is full: failure dropped', () => ({
    jail: jails[jail]!.name,
    address: describe(address),
    at: new Date(time * 1000).toISOString(),
  }));
}

function sayFile(log: Logger, { kind, path, offset, detail }: FileEvent): void {
  const say = kind === 'error' || kind === 'behind' || kind === 'quiet' ? log.warn : log.info;
  // At the start it may have existed already.
  say(`log file ${kind === 'appeared' ? 'is read' : kind}`, {
    path,
    offset,
    detail: detail === '' ? undefined : detail,
  });
}

function sayJournal(log: Logger, { kind, path, detail }: JournalEvent): void {
  const say = kind === 'appeared' || kind === 'caught-up' || kind === 'heard' ? log.info : log.warn;
  say(`journal ${kind}`, { path, detail: detail === '' ? undefined : detail });
}

function statusOf(error: unknown): number {
  if (error instanceof StartError) return error.status;
  if (error instanceof CeilingError) return exitConfig;
  return error instanceof InUseError ? exitUnavailable : exitSoftware;
}

async function main(): Promise<void> {
  sayUncaught('fail2zig');
  // Node compares each closing socket with process.stderr, which would create a stream for it. That
  // costs memory, and sets O_NONBLOCK for everybody who shares the open file. log.ts writes to the
  // descriptor itself.
  Object.defineProperty(process, 'stderr', { value: undefined });
  const at = process.argv.indexOf('--config-fd');
  const config = readCoreConfig(Number(process.argv[at + 1]));
  const { handed } = config;
  const syslog = handed?.syslog === undefined ? undefined : { fd: handed.syslog, path: config.log.syslog! };
  const log = new Log({ ...config.log, syslog });
  let stop: (() => Promise<void>) | undefined;
  let stopping = false;
  const quit = (): void => {
    if (stopping) return;
    stopping = true;
    void (stop?.() ?? Promise.resolve()).then(() => process.exit(0));
  };
  process.on('SIGTERM', quit);
  process.on('SIGINT', quit);
  const fromTerminal = isatty(2);
  process.on('SIGHUP', () => {
    if (fromTerminal) quit();
    else
      log.warn(
        'SIGHUP changes nothing: fail2zig-client reload has the configuration read again; rotated logs are noticed',
      );
  });
  try {
    if (process.argv.includes('--check')) return await checkMemory(config);
    stop = await start(config, log);
    if (stopping) await stop();
  } catch (error) {
    log.error('cannot start', { error: (error as Error).message });
    if (config.handed?.socket) rmSync(config.handed.socket.at, { force: true });
    process.exit(statusOf(error));
  }
}

void main();
