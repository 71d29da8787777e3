/** Every named breakage, by room. */
import type { Breakage } from './breakage.ts';
import { proof } from './breakages/proof.ts';

export const breakages: readonly Breakage[] = [...proof];
