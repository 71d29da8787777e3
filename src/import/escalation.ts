/**
 * fail2ban's bantime.increment and related keys, converted into ours. Input: any values.
 */
import { formatDuration } from '../config/duration.ts';
import { multiplierMax } from '../config/limits.ts';
import { repeatBantimesMax } from '../limits.ts';
import type { JailKey } from './jail-file.ts';
import { isYes } from './options.ts';
import type { Setting } from './plan.ts';
import type { Resolved } from './tree.ts';
import { durationOf, secondsOf } from './values.ts';

export interface EscalationRemark {
  text: string;
  place: string;
  found: string;
}

/** fail2ban's default formula: each ban twice as long. */
const doubling = /1\s*<<|2\s*\*\*/;

export function escalationSettings(
  options: ReadonlyMap<JailKey, Resolved>,
  placeOf: (value: Resolved) => string,
): { settings: Setting[]; remarks: EscalationRemark[] } {
  const settings: Setting[] = [];
  const remarks: EscalationRemark[] = [];
  const increment = options.get('bantime.increment');
  if (!increment || !isYes(increment.text)) return { settings, remarks };
  const set = (key: string, value: Setting['value'], from: Resolved): void => {
    settings.push({ key, value, from: placeOf(from) });
  };
  const remark = (text: string, from: Resolved): void => {
    remarks.push({ text, place: placeOf(from), found: from.text });
  };
  set('bantime_increment', true, increment);
  const factor = options.get('bantime.factor');
  if (factor) {
    const number = Number(factor.text);
    if (number > 0 && number <= multiplierMax) set('bantime_factor', number, factor);
    else remark('bantime.factor is not a number above 0: 1 is used', factor);
  }
  const multipliers = options.get('bantime.multipliers');
  const formula = options.get('bantime.formula');
  if (multipliers && multipliers.text.trim() !== '') {
    const numbers = multipliers.text
      .split(/[\s,]+/)
      .filter((word) => word !== '')
      .map(Number);
    const most = repeatBantimesMax + 1;
    if (numbers.some((number) => !(number > 0 && number <= multiplierMax))) {
      remark(
        'bantime.multipliers are not all numbers above 0: each ban is twice as long as the one before',
        multipliers,
      );
    } else {
      set('bantime_multipliers', numbers.slice(0, most), multipliers);
      if (numbers.length > most) remark(`bantime.multipliers: the first ${most} are kept`, multipliers);
    }
  } else if (formula && formula.text.trim() !== '' && !doubling.test(formula.text)) {
    remark(
      'bantime.formula is a program, which fail2zig does not run: each ban is twice as long as the one before',
      formula,
    );
  }
  lengths(options, set, remark);
  return { settings, remarks };
}

function lengths(
  options: ReadonlyMap<JailKey, Resolved>,
  set: (key: string, value: Setting['value'], from: Resolved) => void,
  remark: (text: string, from: Resolved) => void,
): void {
  for (const key of ['maxtime', 'rndtime'] as const) {
    const value = options.get(`bantime.${key}`);
    if (!value || value.text.trim() === '' || secondsOf(value.text) === 0) continue;
    const parsed = durationOf(value.text, false);
    if (typeof parsed === 'string') remark(`bantime.${key} ${parsed}: it is left out`, value);
    else if (key === 'maxtime' && parsed.seconds < bantimeOf(options)) {
      remark('bantime.maxtime is shorter than bantime: it is left out', value);
    } else set(`bantime_${key}`, formatDuration(parsed.seconds), value);
  }
  const all = options.get('bantime.overalljails');
  if (all && isYes(all.text)) set('bantime_overalljails', true, all);
}

function bantimeOf(options: ReadonlyMap<JailKey, Resolved>): number {
  return secondsOf(options.get('bantime')?.text ?? '600') ?? 600;
}
