/**
 * vitest in a mutation run: `describe` and `test` record what there is to run, and the runner calls
 * it, thousands of times in one process. `expect` and `vi` are vitest's own.
 */
import { format } from 'node:util';

export { expect, vi } from '../../node_modules/vitest/dist/index.js';

/** `vi.useFakeTimers` asks the worker of vitest, which is not here, for its configuration. */
Object.assign(globalThis, { __vitest_worker__: { config: { fakeTimers: {} } } });

type Body = (...values: never[]) => unknown;
type Hook = () => unknown;
const kinds = ['beforeAll', 'beforeEach', 'afterEach', 'afterAll'] as const;
type Hooks = Record<(typeof kinds)[number], Hook[]>;

/** A file or a `describe`: its hooks belong to every test below it. */
interface Suite {
  name: string;
  hooks: Hooks;
  parent?: Suite;
}

export interface Test {
  /** File and names of all suites, unique. */
  id: string;
  name: string;
  /** With the hooks of its suites before and after it, as if it were the only test. */
  run(): Promise<void>;
}

export const tests = new Map<string, Test>();
const suites = new Set<Suite>();
let current: Suite = suite('');

function suite(name: string, parent?: Suite): Suite {
  const hooks = { beforeAll: [], beforeEach: [], afterEach: [], afterAll: [] };
  const made: Suite = { name, hooks, ...(parent && { parent }) };
  suites.add(made);
  return made;
}

/** What is declared from here on belongs to `file`. */
export function enterFile(file: string): void {
  current = suite(file);
}

function ancestors(from: Suite | undefined): Suite[] {
  return from === undefined ? [] : [...ancestors(from.parent), from];
}

/** Others end what was made when their file was loaded, once: the other tests need it. */
const isMadeAnew = ({ hooks }: Suite): boolean => hooks.beforeAll.length > 0;

process.on('exit', () => {
  for (const each of suites) if (!isMadeAnew(each)) for (const hook of each.hooks.afterAll) hook();
});

async function runAlone(body: () => unknown, suites: Suite[]): Promise<void> {
  const call = async (kind: keyof Hooks, order: Suite[]) => {
    for (const { hooks } of order) for (const hook of hooks[kind]) await hook();
  };
  const inward = suites;
  const outward = [...suites].reverse();
  try {
    await call('beforeAll', inward);
    await call('beforeEach', inward);
    await body();
  } finally {
    for (const hook of finishing.splice(0).reverse()) await hook();
    await call('afterEach', outward);
    await call('afterAll', outward.filter(isMadeAnew));
  }
}

function declareTest(name: string, body: () => unknown): void {
  const suites = ancestors(current);
  const path = [...suites.map((each) => each.name), name].join(' > ');
  let id = path;
  for (let again = 2; tests.has(id); again++) id = `${path} (${again})`;
  tests.set(id, { id, name: path, run: () => runAlone(body, suites) });
}

function declareSuite(name: string, body: () => unknown): void {
  const outer = current;
  current = suite(name, outer);
  body();
  current = outer;
}

/** A row's title: `$key` of an object, printf's `%s` of a list. */
function title(pattern: string, row: unknown): string {
  if (typeof row === 'object' && row !== null && !Array.isArray(row)) {
    return pattern.replace(/\$(\w+)/g, (_, key: string) => String((row as Record<string, unknown>)[key]));
  }
  const used = pattern.match(/%[sidfjo]/g)?.length ?? 0;
  return format(pattern, ...[row].flat().slice(0, used));
}

function withRows(declare: (name: string, body: () => unknown) => void) {
  const each = (rows: readonly unknown[]) => (name: string, first: Body | object, second?: Body | number) => {
    const body = bodyOf<Body>(first, second);
    const areLists = rows.every(Array.isArray);
    for (const row of rows) {
      const values = (areLists ? row : [row]) as never[];
      declare(title(name, row), () => body(...values));
    }
  };
  const one = (name: string, first: (() => unknown) | object, second?: (() => unknown) | number) =>
    declare(name, bodyOf<() => unknown>(first, second));
  const runIf = (wanted: boolean) => (wanted ? made : Object.assign(() => {}, { each: () => () => {} }));
  const made = Object.assign(one, { each, runIf, skipIf: (unwanted: boolean) => runIf(!unwanted) });
  return made;
}

/** The body of a test, without its options and its timeout, which do not matter here. */
function bodyOf<Wanted>(first: Wanted | object, second?: Wanted | number): Wanted {
  return (typeof first === 'function' ? first : second) as Wanted;
}

export const test = withRows(declareTest);
export const describe = withRows(declareSuite);

function hookOf(kind: keyof Hooks) {
  return (hook: Hook): void => {
    current.hooks[kind].push(hook);
  };
}

/** What a running test has registered for its end. */
const finishing: Hook[] = [];
export const onTestFinished = (hook: Hook): void => void finishing.push(hook);

export const beforeAll = hookOf('beforeAll');
export const beforeEach = hookOf('beforeEach');
export const afterEach = hookOf('afterEach');
export const afterAll = hookOf('afterAll');
