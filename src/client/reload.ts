/**
 * The client's part of a reload: compiles and checks the configuration as a start does, in this
 * process, and hands the record over in a sealed memory file. A bundle of its own
 * (scripts/build.ts): the client's other commands do not need it.
 */
import { closeSync } from 'node:fs';
import { handedRecord } from '../commands/start.ts';
import { defaultConfigPath, loadConfig } from '../config/load.ts';
import { ConfigError } from '../config/problem.ts';
import { native } from '../native.ts';

/** The function that hands the record over a connected socket, or why there is none. */
type RecordToHand = { hand: (socket: number) => void } | { problem: string };

/**
 * The configuration at `path` as a record; `warn` is called for settings that are valid but
 * probably a mistake.
 */
export function recordToHand(path = defaultConfigPath, warn: (text: string) => void = () => {}): RecordToHand {
  let file: number;
  try {
    const { config, warnings } = loadConfig(path, 'checked');
    for (const warning of warnings) warn(warning);
    file = handedRecord(config);
  } catch (error) {
    if (error instanceof ConfigError)
      return { problem: `the configuration cannot be used, nothing was changed\n${error.message}` };
    throw error;
  }
  const hand = (socket: number): void => {
    const sent = native.sendDescriptor(socket, file);
    closeSync(file);
    if (sent < 0) throw new Error(`cannot hand the configuration over (errno ${-sent})`);
  };
  return { hand };
}
