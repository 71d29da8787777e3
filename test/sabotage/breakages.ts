/** Every named breakage, by room. */
import type { Breakage } from './breakage.ts';
import { control } from './breakages/control.ts';
import { proof } from './breakages/proof.ts';
import { state } from './breakages/state.ts';

export const breakages: readonly Breakage[] = [...proof, ...control, ...state];
