/** Broken on purpose: engine code that knows a room which comes after it. */
import { createLogger } from '../../src/log.ts';

export const log = createLogger({ level: 'info' });
