/**
 * Which files are followed if more match than there is room for: whoever can create files for one
 * pattern must not take the room of another pattern.
 *
 * @param fits the paths, with the indices of their patterns
 * @param isLiteral whether one of these patterns has no wildcard: such paths come first
 * @param isKnown whether a path is followed already: such files are kept
 * @returns `most` of them: first these, then one of each pattern in turn
 */
export function shareOut(
  fits: Map<string, readonly number[]>,
  patterns: number,
  most: number,
  isLiteral: (patterns: readonly number[]) => boolean,
  isKnown: (path: string) => boolean,
): Map<string, readonly number[]> {
  const chosen = new Map<string, readonly number[]>();
  const shares: string[][] = Array.from({ length: patterns }, () => []);
  for (const [path, own] of fits) {
    if (isLiteral(own) && chosen.size < most) chosen.set(path, own);
    else shares[own[0]!]!.push(path);
  }
  for (const share of shares) share.sort((one, other) => Number(isKnown(other)) - Number(isKnown(one)));
  for (let turn = 0; chosen.size < most; turn++) {
    for (const share of shares) {
      if (turn < share.length && chosen.size < most) chosen.set(share[turn]!, fits.get(share[turn]!)!);
    }
  }
  return chosen;
}
