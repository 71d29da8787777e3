/**
 * The engine's one memory in the wasm build (AssemblyScript). Same exports as ../linear.ts, which
 * documents them. The VM checks every access.
 */

export function byte(p: i32): i32 {
  return load<u8>(p);
}

export function setByte(p: i32, value: i32): void {
  store<u8>(p, value as u8);
}

export function word(p: i32): i32 {
  return load<i32>(p);
}

export function int(p: i32): i32 {
  return load<i32>(p);
}

export function setInt(p: i32, value: i32): void {
  store<i32>(p, value);
}

export function half(p: i32): i32 {
  return load<u16>(p);
}

export function setHalf(p: i32, value: i32): void {
  store<u16>(p, value as u16);
}

export function float(p: i32): f64 {
  return load<f64>(p);
}

export function setFloat(p: i32, value: f64): void {
  store<f64>(p, value);
}

export function seconds(p: i32): f64 {
  return load<u32>(p) as f64;
}

export function setSeconds(p: i32, value: f64): void {
  store<u32>(p, value as u32);
}

export function toInt(value: f64): i32 {
  return value as i32;
}

/*
 * Vector loads reach past the range that is asked for, up to 63 bytes behind it, eighteen before
 * it: ../linear.ts.
 */

export function findByte(p: i32, end: i32, wanted: i32): i32 {
  if (ASC_FEATURE_SIMD) {
    const splat = i8x16.splat(wanted as i8);
    if (p >= end) return end;
    const mask = i8x16.bitmask(i8x16.eq(v128.load(p), splat));
    if (mask != 0) return nearer(p + ctz(mask), end);
    // What is not near is far, as the end of a line is: four blocks a step.
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
  while (p < end && load<u8>(p) != (wanted as u8)) p++;
  return p < end ? p : end;
}

function nearer(p: i32, end: i32): i32 {
  return p < end ? p : end;
}

export function findByteLast(p: i32, end: i32, wanted: i32): i32 {
  if (ASC_FEATURE_SIMD) {
    const splat = i8x16.splat(wanted as i8);
    while (p < end) {
      const mask = i8x16.bitmask(i8x16.eq(v128.load(end - 16), splat));
      end -= 16;
      if (mask != 0) return found(p, end, mask);
    }
    return -1;
  }
  while (end > p) {
    end--;
    if (load<u8>(end) == (wanted as u8)) return end;
  }
  return -1;
}

/**
 * The position of the highest of sixteen bits, the lowest of which stands for `at`; -1 when it lies
 * before `p`.
 */
function found(p: i32, at: i32, mask: i32): i32 {
  const last = at + 31 - clz(mask);
  return last < p ? -1 : last;
}

export function findPair(p: i32, end: i32, wanted: i32): i32 {
  if (ASC_FEATURE_SIMD) {
    const first = i8x16.splat(wanted as i8);
    const second = i8x16.splat((wanted >> 8) as i8);
    while (p + 2 <= end) {
      const mask = i8x16.bitmask(v128.and(i8x16.eq(v128.load(p), first), i8x16.eq(v128.load(p, 1), second)));
      if (mask != 0) return p + ctz(mask) + 2 <= end ? p + ctz(mask) : end;
      p += 16;
    }
    return end;
  }
  while (p + 2 <= end) {
    if (load<u16>(p) == (wanted as u16)) return p;
    p++;
  }
  return end;
}

export function findPairLast(p: i32, end: i32, wanted: i32): i32 {
  if (ASC_FEATURE_SIMD) {
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
  while (p + 2 <= end) {
    end--;
    if (load<u16>(end - 1) == (wanted as u16)) return end - 1;
  }
  return -1;
}

/** Which of the sixteen positions from `p` on hold the four bytes, one bit each, lowest first. */
function wordBits(p: i32, first: v128, second: v128, third: v128, fourth: v128): i32 {
  const front = v128.and(i8x16.eq(v128.load(p), first), i8x16.eq(v128.load(p, 1), second));
  const back = v128.and(i8x16.eq(v128.load(p, 2), third), i8x16.eq(v128.load(p, 3), fourth));
  return i8x16.bitmask(v128.and(front, back));
}

export function findWord(p: i32, end: i32, wanted: i32): i32 {
  if (ASC_FEATURE_SIMD) {
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
  while (p + 4 <= end) {
    if (load<i32>(p) == wanted) return p;
    p++;
  }
  return end;
}

export function holdsWord(p: i32, end: i32, one: i32, other: i32): bool {
  if (ASC_FEATURE_SIMD) {
    // Their last two bytes tell nearly always that they are not there.
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
  return findWord(p, end, one) < end || findWord(p, end, other) < end;
}

export function findWordLast(p: i32, end: i32, wanted: i32): i32 {
  if (ASC_FEATURE_SIMD) {
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
  while (p + 4 <= end) {
    end--;
    if (load<i32>(end - 3) == wanted) return end - 3;
  }
  return -1;
}

export function copyBytes(to: i32, from: i32, count: i32): void {
  memory.copy(to, from, count);
}

export function fillZero(p: i32, count: i32): void {
  memory.fill(p, 0, count);
}

export function divide(a: i32, b: i32): i32 {
  return a / b;
}

export function product(a: i32, b: i32): i32 {
  return a * b;
}

export function spread(hash: i32, count: i32): i32 {
  return (((hash as u32 as u64) * (count as u32 as u64)) >> 32) as i32;
}

export function skipDigits(p: i32, end: i32): i32 {
  if (ASC_FEATURE_SIMD) {
    while (p < end) {
      const bits = ~i8x16.bitmask(i8x16.lt_u(i8x16.sub(v128.load(p), i8x16.splat(48)), i8x16.splat(10)));
      const run = ctz(bits);
      if (run < 16) return p + run < end ? p + run : end;
      p += 16;
    }
    return end;
  }
  while (p < end && load<u8>(p) - 48 <= (9 as u8)) p++;
  return p;
}

export function skipDecimal(p: i32, end: i32): i32 {
  if (ASC_FEATURE_SIMD) {
    while (p < end) {
      const block = v128.load(p);
      const digits = i8x16.lt_u(i8x16.sub(block, i8x16.splat(48)), i8x16.splat(10));
      const run = ctz(~i8x16.bitmask(v128.or(digits, i8x16.eq(block, i8x16.splat(46)))));
      if (run < 16) return p + run < end ? p + run : end;
      p += 16;
    }
    return end;
  }
  while (p < end && (load<u8>(p) - 48 <= (9 as u8) || load<u8>(p) == 46)) p++;
  return p;
}

export function skipNonspace(p: i32, end: i32): i32 {
  if (ASC_FEATURE_SIMD) {
    while (p < end) {
      const block = v128.load(p);
      const blanks = i8x16.lt_u(i8x16.sub(block, i8x16.splat(9)), i8x16.splat(5));
      const run = ctz(i8x16.bitmask(v128.or(blanks, i8x16.eq(block, i8x16.splat(32)))) | 0x10000);
      if (run < 16) return p + run < end ? p + run : end;
      p += 16;
    }
    return end;
  }
  while (p < end && load<u8>(p) != 32 && load<u8>(p) - 9 > (4 as u8)) p++;
  return p;
}

// @inline
export function lies(p: i32, low: i32, range: i32, blocks: i32): bool {
  if (ASC_FEATURE_SIMD) {
    let good = i8x16.le_u(i8x16.sub(v128.load(p), v128.load(low)), v128.load(range));
    for (let i = 16; i < blocks << 4; i += 16) {
      good = v128.and(good, i8x16.le_u(i8x16.sub(v128.load(p + i), v128.load(low + i)), v128.load(range + i)));
    }
    return i8x16.all_true(good);
  }
  for (let i = 0; i < blocks << 4; i++) {
    if (load<u8>(p + i) - load<u8>(low + i) > load<u8>(range + i)) return false;
  }
  return true;
}

// @inline
export function clockSeconds(p: i32): i32 {
  const digits = load<u64>(p) & 0x0f0f000f0f000f0f;
  // A number of two digits in the place of each first one.
  const numbers = digits * 10 + (digits >> 8);
  const hour = (numbers & 255) as i32;
  const minute = ((numbers >> 24) & 255) as i32;
  const second = ((numbers >> 48) & 255) as i32;
  if (((23 - hour) | (59 - minute) | (59 - second)) < 0) return -1;
  return hour * 3600 + minute * 60 + second;
}

export function digitsBefore(start: i32, end: i32): i32 {
  if (ASC_FEATURE_SIMD) {
    while (end > start) {
      const bits = i8x16.bitmask(i8x16.lt_u(i8x16.sub(v128.load(end - 16), i8x16.splat(48)), i8x16.splat(10)));
      const run = clz(~(bits << 16));
      end -= run;
      if (run < 16) break;
    }
    return end > start ? end : start;
  }
  while (end > start && load<u8>(end - 1) - 48 <= (9 as u8)) end--;
  return end;
}

export function byteBits(p: i32, wanted: i32): i32 {
  if (ASC_FEATURE_SIMD) return i8x16.bitmask(i8x16.eq(v128.load(p), i8x16.splat(wanted as i8)));
  let bits = 0;
  for (let i = 0; i < 16; i++) bits |= ((load<u8>(p + i) == (wanted as u8)) as i32) << i;
  return bits;
}

export function digitBits(p: i32): i32 {
  if (ASC_FEATURE_SIMD) {
    return i8x16.bitmask(i8x16.lt_u(i8x16.sub(v128.load(p), i8x16.splat(48)), i8x16.splat(10)));
  }
  let bits = 0;
  for (let i = 0; i < 16; i++) bits |= ((load<u8>(p + i) >= 48 && load<u8>(p + i) <= 57) as i32) << i;
  return bits;
}

export function matchBits(p: i32, wanted: i32): i32 {
  if (ASC_FEATURE_SIMD) return i8x16.bitmask(i8x16.eq(v128.load64_zero(p), i8x16.splat(wanted as i8))) & 255;
  let bits = 0;
  for (let i = 0; i < 8; i++) bits |= ((load<u8>(p + i) == (wanted as u8)) as i32) << i;
  return bits;
}

export function wordsAre(p: i32, wanted: i32): i32 {
  if (ASC_FEATURE_SIMD) return i32x4.bitmask(i32x4.eq(v128.load(p), i32x4.splat(wanted)));
  let bits = 0;
  for (let i = 0; i < 4; i++) bits |= ((load<i32>(p + i * 4) == wanted) as i32) << i;
  return bits;
}

export function leastWord(p: i32): i32 {
  if (ASC_FEATURE_SIMD) {
    const words = v128.load(p);
    const pairs = i32x4.min_u(words, v128.shuffle<i32>(words, words, 1, 0, 3, 2));
    const least = i32x4.min_u(pairs, v128.shuffle<i32>(pairs, pairs, 2, 3, 0, 1));
    return ctz(i32x4.bitmask(i32x4.eq(words, least)));
  }
  let least = 0;
  for (let i = 1; i < 4; i++) if (load<u32>(p + i * 4) < load<u32>(p + least * 4)) least = i;
  return least;
}

export function addressBits(p: i32): i32 {
  if (ASC_FEATURE_SIMD) {
    const block = v128.load(p);
    const lower = v128.or(block, i8x16.splat(32));
    const letters = i8x16.lt_u(i8x16.sub(lower, i8x16.splat(97)), i8x16.splat(26));
    const digits = i8x16.lt_u(i8x16.sub(block, i8x16.splat(48)), i8x16.splat(11));
    const dots = i8x16.lt_u(i8x16.sub(block, i8x16.splat(45)), i8x16.splat(2));
    const rest = v128.or(i8x16.eq(block, i8x16.splat(95)), i8x16.eq(block, i8x16.splat(37)));
    return i8x16.bitmask(v128.or(v128.or(letters, digits), v128.or(dots, rest)));
  }
  let bits = 0;
  for (let i = 0; i < 16; i++) {
    const value = load<u8>(p + i);
    const isOther = value - 48 <= (10 as u8) || value - 45 <= (1 as u8) || value == 95 || value == 37;
    bits |= (((value | 32) - 97 <= (25 as u8) || isOther) as i32) << i;
  }
  return bits;
}

export function ones(value: i32): i32 {
  return popcnt(value);
}

export function lowestBit(value: i32): i32 {
  return ctz(value);
}
