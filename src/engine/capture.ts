/**
 * Captures of the last match: positions in the engine's memory, -1 = not captured. Matchers set
 * them. The caller clears them before a match and reads them after a successful one; after a failed
 * match they mean nothing.
 */

export let addressStart: i32 = -1;
export let addressEnd: i32 = -1;
export let userStart: i32 = -1;
export let userEnd: i32 = -1;
export let timeStart: i32 = -1;
export let timeEnd: i32 = -1;

export function clearCaptures(): void {
  addressStart = -1;
  userStart = -1;
  timeStart = -1;
}

export function captureAddress(start: i32, end: i32): void {
  addressStart = start;
  addressEnd = end;
}

export function captureUser(start: i32, end: i32): void {
  userStart = start;
  userEnd = end;
}

export function captureTime(start: i32, end: i32): void {
  timeStart = start;
  timeEnd = end;
}

export function forgetAddress(): void {
  addressStart = -1;
}

export function forgetUser(): void {
  userStart = -1;
}

export function forgetTime(): void {
  timeStart = -1;
}
