/**
 * The first pass over a file in a process of its own, before V8 has made good code of the engine:
 * `parse` starts one for each round. Prints the round as JSON.
 */
import { measureRound } from './rounds.ts';

const [path, filter] = process.argv.slice(2) as [string, string];
process.stdout.write(JSON.stringify(await measureRound(path, 'wasm', filter)));
