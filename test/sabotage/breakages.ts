/** Every named breakage, by room. */
import type { Breakage } from './breakage.ts';
import { backends } from './breakages/backends.ts';
import { compiler } from './breakages/compiler.ts';
import { config } from './breakages/config.ts';
import { confinement } from './breakages/confinement.ts';
import { control } from './breakages/control.ts';
import { daemon } from './breakages/daemon.ts';
import { enforcer } from './breakages/enforcer.ts';
import { engine } from './breakages/engine.ts';
import { fleet } from './breakages/fleet.ts';
import { history } from './breakages/history.ts';
import { importing } from './breakages/import.ts';
import { judged } from './breakages/judged.ts';
import { lists } from './breakages/lists.ts';
import { memory } from './breakages/memory.ts';
import { observe } from './breakages/observe.ts';
import { parser } from './breakages/parser.ts';
import { product } from './breakages/product.ts';
import { promised } from './breakages/promised.ts';
import { proof } from './breakages/proof.ts';
import { random } from './breakages/random.ts';
import { release } from './breakages/release.ts';
import { reload } from './breakages/reload.ts';
import { sources } from './breakages/sources.ts';
import { state } from './breakages/state.ts';

export const breakages: readonly Breakage[] = [
  ...proof,
  ...backends,
  ...compiler,
  ...config,
  ...confinement,
  ...control,
  ...daemon,
  ...enforcer,
  ...engine,
  ...fleet,
  ...history,
  ...importing,
  ...judged,
  ...memory,
  ...observe,
  ...parser,
  ...promised,
  ...product,
  ...random,
  ...reload,
  ...lists,
  ...release,
  ...sources,
  ...state,
];
