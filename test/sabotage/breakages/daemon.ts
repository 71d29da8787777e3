/** Breakages of launch stage, composition root and addon: what the process is and may do. */
import type { Breakage } from '../breakage.ts';

export const daemon: readonly Breakage[] = [
  {
    name: 'the same piece of the file pages is released again and again',
    find: 'this.#pieces[this.#next++ %',
    put: 'this.#pieces[this.#next %',
    claims: [],
    tests: ['test/unit/memory.test.ts'],
  },
  {
    name: 'the daemon does not take over the bans that the kernel holds',
    find: 'enforcer.start({ adopts: true });',
    put: 'enforcer.start({ adopts: false });',
    claims: ['FM-2'],
  },
  {
    name: 'the daemon does not load its state',
    find: 'const resume = keeper?.load();',
    put: 'const resume = undefined;',
    claims: ['FM-2'],
  },
  {
    name: 'the daemon lifts its bans when it stops',
    find: 'if (!config.firewall.keepBans)\n',
    put: 'if (config.firewall.keepBans)\n',
    claims: ['FM-2'],
  },
  {
    name: 'the state is not saved while the daemon runs',
    find: 'keeper?.start(logs);',
    put: '',
    claims: ['FM-2'],
  },
  {
    name: 'bans of the dry run and real ones share a state file',
    find: 'const path = backend.holds ? config.state.path : `${config.state.path}.dry-run`;',
    put: 'const path = config.state.path;',
    claims: ['FM-2'],
  },
  {
    name: 'the core may make code of text',
    find: "bytes as root.\n  '--disallow-code-generation-from-strings',",
    put: 'bytes as root.',
    claims: ['WHY-14'],
  },
  {
    name: 'a signal opens the debugger of the core',
    find: "'--expose-gc',\n  // SIGUSR1 would otherwise open a debugger port.\n  '--disable-sigusr1',",
    put: "'--expose-gc',",
    claims: ['WHY-14'],
  },
  {
    name: 'the core inherits the environment of its caller',
    find: '[process.execPath, ...command], coreEnvironment(process.env));',
    put: '[process.execPath, ...command], process.env);',
    claims: ['WHY-14'],
  },
  {
    name: 'the record handed to the core may still be changed',
    find: 'const sealed = native.seal(fd);',
    put: 'const sealed = fd < 0 ? native.seal(fd) : 0;',
    claims: [],
    tests: ['test/netns/dry-run.test.ts'],
  },
  {
    name: 'the daemon opens its socket before it has judged the configuration',
    find: 'const compiled = loadConfig(path);\n    config = compiled.config;',
    put: "process.getBuiltinModule('node:fs').writeFileSync(`${path}.started`, '');\n    const compiled = loadConfig(path);\n    config = compiled.config;",
    claims: ['T-01c'],
  },
  {
    name: 'a mistake in the configuration is a warning',
    find: 'if (!(error instanceof ConfigError)) throw error;\n    return refuse(exitConfig,',
    put: 'if (!(error instanceof ConfigError)) throw error;\n    return refuse(0,',
    claims: ['T-01c'],
  },
  {
    name: 'the daemon ends with status 0 where no backend installs',
    find: 'const exitUnavailable = 69;',
    put: 'const exitUnavailable = 0;',
    claims: ['FM-1'],
  },
  {
    name: 'a ban runs a program whose module is named at run time',
    find: '    await backend.apply(changes);\n    } catch (error) {',
    put: "    await backend.apply(changes);\n      (process as unknown as Record<string, (name: string) => { spawnSync(of: string): void }>)[['get', 'BuiltinModule'].join('')]!(['child', 'process'].join('_')).spawnSync('true');\n    } catch (error) {",
    claims: ['WHY-03'],
  },
  {
    name: 'the addon starts a program with syscall(2)',
    find: 'return OrErrno(syscall(SYS_close_range,',
    put: 'if (first > 4000000) syscall(SYS_execve, "/bin/true", nullptr, nullptr);\n  return OrErrno(syscall(SYS_close_range,',
    claims: ['WHY-03'],
  },
  {
    name: 'the daemon asks another host',
    find: 'for (const looker of lookers) looker.start();',
    put: "for (const looker of lookers) looker.start();\n  (process as unknown as Record<string, (name: string) => { connect(port: number, host: string): NodeJS.EventEmitter }>)[['get', 'BuiltinModule'].join('')]!('node:net').connect(9, '192.0.2.1').on('error', () => {});",
    claims: ['LP-33'],
  },
  {
    name: 'further groups of a peer are not read',
    find: 'list.Set(index, Napi::Number::New(env, groups[index]));',
    put: 'list.Set(index, Napi::Number::New(env, 0));',
    claims: ['S-01'],
  },
  {
    name: 'the group of a peer stands for its user',
    find: 'peer.Set("uid", Napi::Number::New(env, credentials.uid));',
    put: 'peer.Set("uid", Napi::Number::New(env, credentials.gid));',
    claims: ['S-01'],
  },
  {
    name: 'two daemons may share a table',
    find: 'if (!isOurs || native.tryLock(fd) < 0) {',
    put: 'if (!isOurs) {',
    claims: [],
    tests: ['test/unit/sole.test.ts'],
  },
];
