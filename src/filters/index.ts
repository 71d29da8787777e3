/** Every built-in filter. The position is the filter's number in the engine; add yours in one line, anywhere. */
import type { Filter } from '../compiler/pattern.ts';
import { apache } from './apache.ts';
import { nginx } from './nginx.ts';
import { sshd } from './sshd.ts';

export const filters: Filter[] = [sshd, ...apache, ...nginx];
