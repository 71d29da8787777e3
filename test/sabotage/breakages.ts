/** Every named breakage, by room. */
import type { Breakage } from './breakage.ts';
import { config } from './breakages/config.ts';
import { control } from './breakages/control.ts';
import { engine } from './breakages/engine.ts';
import { proof } from './breakages/proof.ts';
import { state } from './breakages/state.ts';

export const breakages: readonly Breakage[] = [...proof, ...config, ...control, ...engine, ...state];
