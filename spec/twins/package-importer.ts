/** Broken on purpose: a part of the core that pulls in an npm package. */
import { z } from 'zod';

export const address = z.string();
