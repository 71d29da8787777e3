/**
 * Path patterns of `logpath`: `*` (any run of characters) and `?` (one character) in any component,
 * nothing else.
 *
 * The pattern comes from the operator; the names may come from anybody who can create a file in a
 * log directory. So the matcher uses no RegExp and takes O(name × pattern) time at worst. As in a
 * shell, no wildcard matches a `/` or a leading dot. `[`, `{`, `\` and `**` have no special
 * meaning; `**` is the same as `*`.
 */

const star = 0x2a;
const question = 0x3f;

/** True when a path component holds a wildcard. */
export function hasWildcard(component: string): boolean {
  return component.includes('*') || component.includes('?');
}

/**
 * Splits an absolute pattern into its components; empty ones and `.` are dropped, so
 * `/var//log/./x` is `/var/log/x`. Throws for a relative pattern, for `..`, which would make the
 * watched directory ambiguous, and for a NUL.
 */
export function splitPattern(pattern: string): string[] {
  if (!pattern.startsWith('/')) throw new Error(`not an absolute path: ${pattern}`);
  if (pattern.includes('\0')) throw new Error('a path cannot hold a NUL byte');
  const components = pattern.split('/').filter((component) => component !== '' && component !== '.');
  if (components.includes('..')) throw new Error(`".." is not supported in a log path: ${pattern}`);
  if (components.length === 0) throw new Error(`not a file: ${pattern}`);
  return components;
}

/** Whether a name matches a component; a component without wildcards matches only itself. */
export function matchesComponent(name: string, component: string): boolean {
  if (!hasWildcard(component)) return name === component;
  if (name.startsWith('.') && !component.startsWith('.')) return false;
  let at = 0;
  let want = 0;
  let starAt = -1;
  let resume = 0;
  while (at < name.length) {
    const wanted = want < component.length ? component.charCodeAt(want) : -1;
    if (wanted === star) {
      starAt = want++;
      resume = at;
    } else if (wanted === question || wanted === name.charCodeAt(at)) {
      want++;
      at++;
    } else if (starAt >= 0) {
      want = starAt + 1;
      at = ++resume;
    } else {
      return false;
    }
  }
  while (want < component.length && component.charCodeAt(want) === star) want++;
  return want === component.length;
}
