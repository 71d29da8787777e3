/**
 * Which bans to lift when the kernel holds as many as it may: those that end soonest. An operator's
 * bans come after all others, and permanent ones last of their kind.
 *
 * It visits each entry of the table once. The bans found so far form a heap in the input area,
 * which is free between two lines: each item is a rank (float) and an entry's number; the ban that
 * ends last is on top and is replaced by one that ends sooner.
 */
import { copyBytes, float, int, seconds, setFloat, setInt } from '#linear';
import * as layout from './layout.ts';

/** Added to the rank of an operator's ban: more than any second. */
const MANUAL_RANK: f64 = 4294967296;

function itemAt(place: i32): i32 {
  return layout.inputAt + place * layout.SOONEST_BYTES;
}

function put(place: i32, rank: f64, index: i32): void {
  setFloat(itemAt(place), rank);
  setInt(itemAt(place) + layout.SOONEST_INDEX, index);
}

/** Adds an item to a heap of `count`. */
function push(count: i32, rank: f64, index: i32): void {
  let place = count;
  while (place > 0) {
    const parent = (place - 1) >> 1;
    if (float(itemAt(parent)) >= rank) break;
    copyBytes(itemAt(place), itemAt(parent), layout.SOONEST_BYTES);
    place = parent;
  }
  put(place, rank, index);
}

/** Replaces the top of a heap of `count`. */
function replaceTop(count: i32, rank: f64, index: i32): void {
  let place = 0;
  let child = 1;
  while (child < count) {
    if (child + 1 < count && float(itemAt(child + 1)) > float(itemAt(child))) child++;
    if (float(itemAt(child)) <= rank) break;
    copyBytes(itemAt(place), itemAt(child), layout.SOONEST_BYTES);
    place = child;
    child = 2 * place + 1;
  }
  put(place, rank, index);
}

/** The end of the ban of an entry if the kernel holds it, else 0. */
function heldUntil(entry: i32): f64 {
  if ((int(entry + layout.keyBytes) & layout.META_STATE) !== layout.BANNED) return 0;
  return seconds(entry + layout.keyBytes + 8);
}

/** How many bans the kernel holds at epoch second `now`. */
export function countHeld(now: f64): i32 {
  const stop = layout.tableAt + layout.tableSets * layout.TABLE_WAYS * layout.entryBytes;
  let count = 0;
  for (let entry = layout.tableAt; entry < stop; entry += layout.entryBytes) if (heldUntil(entry) > now) count++;
  return count;
}

/**
 * Finds up to `most` bans that the kernel holds at epoch second `now` and that end soonest; returns
 * their number. Their entries' numbers are in the input area, in no order.
 */
export function findSoonest(now: f64, most: i32): i32 {
  const slots = layout.tableSets * layout.TABLE_WAYS;
  let entry = layout.tableAt;
  let count = 0;
  for (let index = 0; index < slots; index++) {
    const end = heldUntil(entry);
    if (end > now) {
      const rank = (int(entry + layout.keyBytes) & layout.META_MANUAL) !== 0 ? end + MANUAL_RANK : end;
      if (count < most) {
        push(count, rank, index);
        count++;
      } else if (rank < float(itemAt(0))) replaceTop(count, rank, index);
    }
    entry += layout.entryBytes;
  }
  return count;
}
