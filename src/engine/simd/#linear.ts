/**
 * The engine's one memory in the wasm build with SIMD (AssemblyScript). Same exports as
 * ../linear.ts, which documents them together with ../scalar/bytewise.ts. The VM checks every
 * access. Vector loads read beyond the requested range, up to 63 bytes after it and eighteen before
 * it.
 */
export * from '#access';

export function findByte(p: i32, end: i32, wanted: i32): i32 {
  const splat = i8x16.splat(wanted as i8);
  if (p >= end) return end;
  const mask = i8x16.bitmask(i8x16.eq(v128.load(p), splat));
  if (mask != 0) return nearer(p + ctz(mask), end);
  // What is not close is usually far away, like the end of a line: four blocks a step.
  p += 16;
  while (p < end) {
    const first = i8x16.eq(v128.load(p), splat);
    const second = i8x16.eq(v128.load(p, 16), splat);
    const third = i8x16.eq(v128.load(p, 32), splat);
    const fourth = i8x16.eq(v128.load(p, 48), splat);
    if (v128.any_true(v128.or(v128.or(first, second), v128.or(third, fourth)))) {
      const front = i8x16.bitmask(first) | (i8x16.bitmask(second) << 16);
      const back = i8x16.bitmask(third) | (i8x16.bitmask(fourth) << 16);
      return nearer(p + (front != 0 ? ctz(front) : 32 + ctz(back)), end);
    }
    p += 64;
  }
  return end;
}

function nearer(p: i32, end: i32): i32 {
  return p < end ? p : end;
}

export function findByteLast(p: i32, end: i32, wanted: i32): i32 {
  const splat = i8x16.splat(wanted as i8);
  while (p < end) {
    const mask = i8x16.bitmask(i8x16.eq(v128.load(end - 16), splat));
    end -= 16;
    if (mask != 0) return found(p, end, mask);
  }
  return -1;
}

/**
 * The position of the highest of sixteen bits, the lowest of which stands for `at`; -1 if it lies
 * before `p`.
 */
function found(p: i32, at: i32, mask: i32): i32 {
  const last = at + 31 - clz(mask);
  return last < p ? -1 : last;
}

export function findPair(p: i32, end: i32, wanted: i32): i32 {
  const first = i8x16.splat(wanted as i8);
  const second = i8x16.splat((wanted >> 8) as i8);
  while (p + 2 <= end) {
    const mask = i8x16.bitmask(v128.and(i8x16.eq(v128.load(p), first), i8x16.eq(v128.load(p, 1), second)));
    if (mask != 0) return p + ctz(mask) + 2 <= end ? p + ctz(mask) : end;
    p += 16;
  }
  return end;
}

export function findPairLast(p: i32, end: i32, wanted: i32): i32 {
  const first = i8x16.splat(wanted as i8);
  const second = i8x16.splat((wanted >> 8) as i8);
  while (p + 2 <= end) {
    const q = end - 17;
    const mask = i8x16.bitmask(v128.and(i8x16.eq(v128.load(q), first), i8x16.eq(v128.load(q, 1), second)));
    if (mask != 0) return found(p, q, mask);
    end -= 16;
  }
  return -1;
}

/**
 * At which of the sixteen positions from `p` on the four bytes stand, one bit each, lowest first.
 */
function wordBits(p: i32, first: v128, second: v128, third: v128, fourth: v128): i32 {
  const front = v128.and(i8x16.eq(v128.load(p), first), i8x16.eq(v128.load(p, 1), second));
  const back = v128.and(i8x16.eq(v128.load(p, 2), third), i8x16.eq(v128.load(p, 3), fourth));
  return i8x16.bitmask(v128.and(front, back));
}

export function findWord(p: i32, end: i32, wanted: i32): i32 {
  const first = i8x16.splat(wanted as i8);
  const second = i8x16.splat((wanted >> 8) as i8);
  const third = i8x16.splat((wanted >> 16) as i8);
  const fourth = i8x16.splat((wanted >> 24) as i8);
  while (p + 4 <= end) {
    const mask = wordBits(p, first, second, third, fourth);
    if (mask != 0) return p + ctz(mask) + 4 <= end ? p + ctz(mask) : end;
    p += 16;
  }
  return end;
}

export function holdsWord(p: i32, end: i32, one: i32, other: i32): bool {
  // Their last two bytes nearly always show that they are not there.
  const third = i8x16.splat((one >> 16) as i8);
  const fourth = i8x16.splat((one >> 24) as i8);
  const otherThird = i8x16.splat((other >> 16) as i8);
  const otherFourth = i8x16.splat((other >> 24) as i8);
  for (; p + 4 <= end; p += 32) {
    const first = v128.load(p, 2);
    const second = v128.load(p, 3);
    const here = v128.and(i8x16.eq(first, third), i8x16.eq(second, fourth));
    const otherHere = v128.and(i8x16.eq(first, otherThird), i8x16.eq(second, otherFourth));
    const next = v128.load(p, 18);
    const afterNext = v128.load(p, 19);
    const there = v128.and(i8x16.eq(next, third), i8x16.eq(afterNext, fourth));
    const otherThere = v128.and(i8x16.eq(next, otherThird), i8x16.eq(afterNext, otherFourth));
    if (!v128.any_true(v128.or(v128.or(here, otherHere), v128.or(there, otherThere)))) continue;
    const stop = nearer(p + 35, end);
    if (findWord(p, stop, one) < stop || findWord(p, stop, other) < stop) return true;
  }
  return false;
}

export function findWordLast(p: i32, end: i32, wanted: i32): i32 {
  const first = i8x16.splat(wanted as i8);
  const second = i8x16.splat((wanted >> 8) as i8);
  const third = i8x16.splat((wanted >> 16) as i8);
  const fourth = i8x16.splat((wanted >> 24) as i8);
  while (p + 4 <= end) {
    const mask = wordBits(end - 19, first, second, third, fourth);
    if (mask != 0) return found(p, end - 19, mask);
    end -= 16;
  }
  return -1;
}

export function skipDigits(p: i32, end: i32): i32 {
  while (p < end) {
    const bits = ~i8x16.bitmask(i8x16.lt_u(i8x16.sub(v128.load(p), i8x16.splat(48)), i8x16.splat(10)));
    const run = ctz(bits);
    if (run < 16) return p + run < end ? p + run : end;
    p += 16;
  }
  return end;
}

export function skipDecimal(p: i32, end: i32): i32 {
  while (p < end) {
    const block = v128.load(p);
    const digits = i8x16.lt_u(i8x16.sub(block, i8x16.splat(48)), i8x16.splat(10));
    const run = ctz(~i8x16.bitmask(v128.or(digits, i8x16.eq(block, i8x16.splat(46)))));
    if (run < 16) return p + run < end ? p + run : end;
    p += 16;
  }
  return end;
}

export function skipNonspace(p: i32, end: i32): i32 {
  while (p < end) {
    const block = v128.load(p);
    const blanks = i8x16.lt_u(i8x16.sub(block, i8x16.splat(9)), i8x16.splat(5));
    const run = ctz(i8x16.bitmask(v128.or(blanks, i8x16.eq(block, i8x16.splat(32)))) | 0x10000);
    if (run < 16) return p + run < end ? p + run : end;
    p += 16;
  }
  return end;
}

// @inline
export function lies(p: i32, low: i32, range: i32, blocks: i32): bool {
  let good = i8x16.le_u(i8x16.sub(v128.load(p), v128.load(low)), v128.load(range));
  for (let i = 16; i < blocks << 4; i += 16) {
    good = v128.and(good, i8x16.le_u(i8x16.sub(v128.load(p + i), v128.load(low + i)), v128.load(range + i)));
  }
  return i8x16.all_true(good);
}

export function digitsBefore(start: i32, end: i32): i32 {
  while (end > start) {
    const bits = i8x16.bitmask(i8x16.lt_u(i8x16.sub(v128.load(end - 16), i8x16.splat(48)), i8x16.splat(10)));
    const run = clz(~(bits << 16));
    end -= run;
    if (run < 16) break;
  }
  return end > start ? end : start;
}

export function byteBits(p: i32, wanted: i32): i32 {
  return i8x16.bitmask(i8x16.eq(v128.load(p), i8x16.splat(wanted as i8)));
}

export function digitBits(p: i32): i32 {
  return i8x16.bitmask(i8x16.lt_u(i8x16.sub(v128.load(p), i8x16.splat(48)), i8x16.splat(10)));
}

export function matchBits(p: i32, q: i32, wanted: i32): i32 {
  return i8x16.bitmask(i8x16.eq(v128.load64_lane(q, v128.load64_zero(p), 1), i8x16.splat(wanted as i8)));
}

export function wordsAre(p: i32, wanted: i32): i32 {
  return i32x4.bitmask(i32x4.eq(v128.load(p), i32x4.splat(wanted)));
}

export function leastWord(p: i32): i32 {
  const words = v128.load(p);
  const pairs = i32x4.min_u(words, v128.shuffle<i32>(words, words, 1, 0, 3, 2));
  const least = i32x4.min_u(pairs, v128.shuffle<i32>(pairs, pairs, 2, 3, 0, 1));
  return ctz(i32x4.bitmask(i32x4.eq(words, least)));
}

export function addressBits(p: i32): i32 {
  const block = v128.load(p);
  const lower = v128.or(block, i8x16.splat(32));
  const letters = i8x16.lt_u(i8x16.sub(lower, i8x16.splat(97)), i8x16.splat(26));
  const digits = i8x16.lt_u(i8x16.sub(block, i8x16.splat(48)), i8x16.splat(11));
  const dots = i8x16.lt_u(i8x16.sub(block, i8x16.splat(45)), i8x16.splat(2));
  const rest = v128.or(i8x16.eq(block, i8x16.splat(95)), i8x16.eq(block, i8x16.splat(37)));
  return i8x16.bitmask(v128.or(v128.or(letters, digits), v128.or(dots, rest)));
}
