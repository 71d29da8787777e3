/**
 * The operator and the metrics page of the daemon over its core (pipeline.ts): no files, no memory
 * governor.
 */
import type { Operator, Status } from '../../src/control/answers.ts';
import { Recorder } from '../../src/history/recorder.ts';
import type { ProcessMemory } from '../../src/memory/ceiling.ts';
import { DropTally } from '../../src/observe/drop-tally.ts';
import { figuresOf } from '../../src/observe/figures.ts';
import { exposition } from '../../src/observe/metrics.ts';
import { DaemonOperator } from '../../src/operator.ts';
import type { FileSource } from '../../src/sources/file.ts';
import type { SourceRoutes } from '../../src/sources/routes.ts';
import { collect } from '../../test/support/collect.ts';
import type { Supply } from '../claim.ts';
import { type Pipeline, pipeline, strictConfig } from './pipeline.ts';

/** The operator's methods as properties, so that a twin can replace one. */
function operatorOf(operator: DaemonOperator): Operator {
  return {
    status: (args) => operator.status(args),
    stats: () => operator.stats(),
    list: (args) => operator.list(args),
    ban: (args, by) => operator.ban(args, by),
    unban: (args, by) => operator.unban(args, by),
    ignore: (args, by) => operator.ignore(args, by),
    unignore: (args) => operator.unignore(args),
    jails: () => operator.jails(),
    why: (args) => operator.why(args),
    history: (args) => operator.history(args),
    watch: () => operator.watch(),
    set: (args) => operator.set(args),
    reload: (args, by) => operator.reload(args, by),
    version: () => operator.version(),
  };
}

/** The parts of a status as one. */
export async function wholeStatus(operator: Operator): Promise<Status> {
  const parts = await collect(operator.status({}));
  return { ...parts[0]!, jails: parts.flatMap(({ jails }) => jails) };
}

export interface Watched extends Pipeline {
  operator: Operator;
  /** The page of the metrics. */
  page: () => Promise<string>;
}

/** Rooms of the daemon that a specification leaves out, as the operator sees them. */
export const noFiles = {
  status: () => [],
  problems: () => [],
  refused: 0,
  counters: { rotations: 0, truncations: 0, errors: 0 },
} as unknown as FileSource;
export const noMemory = {
  parts: () => [],
  governor: { releases: 0, longestMilliseconds: 0 },
} as unknown as ProcessMemory;
export const noRoutes: Pick<SourceRoutes, 'logsOf' | 'statusOf'> = { logsOf: () => [], statusOf: () => [] };

/**
 * The middle of the daemon with the real operator and metrics over it; `spoil` is what a twin does
 * to it.
 */
export function watched(
  spoil: (made: Watched) => Watched = (made) => made,
  slots?: number,
  settings = '',
): Supply<Watched> {
  return {
    async make() {
      const text = `${strictConfig}[jails.slow]\nfilter = "sshd"\nlogpath = "/var/log/auth.log"\nmaxretry = 3\n${settings}`;
      const made = await pipeline({ text, slots });
      const running = {
        ...made,
        drops: new DropTally(made.backend, made.log),
        recorder: new Recorder({ path: undefined, log: made.log }),
        memory: noMemory,
        files: noFiles,
        routes: noRoutes,
        followed: () => [],
        keeper: undefined,
      };
      const problems = { problems: () => [], idleJails: () => [] };
      const figures = figuresOf({ ...running, control: undefined, operator: problems });
      const page = () => exposition(figures);
      return spoil({
        ...made,
        operator: operatorOf(new DaemonOperator({ ...running, figures: () => figures, pageProblem: () => undefined })),
        page,
      });
    },
    dispose: ({ enforcer }) => enforcer.stop(),
  };
}
