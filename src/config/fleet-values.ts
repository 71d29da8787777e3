/** Parsers of the settings of [fleet] that have bounds of their own. */

import { parseInterval } from './duration.ts';
import { fleetIntervalSecondsMax, fleetNameMax, fleetSpoolBytesMax, fleetSpoolBytesMin } from './limits.ts';
import { parseSize } from './size.ts';
import { parseName } from './values.ts';

/** The name of a machine. */
export const parseMachine = (value: unknown) => parseName(value, fleetNameMax);

export const parseFleetInterval = (value: unknown) => parseInterval(value, fleetIntervalSecondsMax);

export const parseSpoolSize = (value: unknown) => parseSize(value, fleetSpoolBytesMin, fleetSpoolBytesMax);
