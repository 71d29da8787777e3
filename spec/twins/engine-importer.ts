/** Broken on purpose: engine code that knows a room which comes after it. */
import { Log } from '../../src/log.ts';

export const log = new Log({ level: 'info' });
