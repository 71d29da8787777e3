/**
 * The first pass over a file in a separate process, before V8 has optimised the engine's code:
 * `parse` starts one for each round. Prints the round as JSON.
 */
import { measureRound } from './rounds.ts';

const [path, filter] = process.argv.slice(2) as [string, string];
process.stdout.write(JSON.stringify(await measureRound(path, 'wasm', filter)));
