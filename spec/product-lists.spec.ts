/**
 * Files of addresses that the kernel holds permanently.
 */
import assert from 'node:assert/strict';
import { chmodSync, rmSync } from 'node:fs';
import fc from 'fast-check';
import { ConfigError } from '../src/config/problem.ts';
import { listEntriesSpare, listLineBytesMax } from '../src/limits.ts';
import { formatAddress, maskAddress } from '../src/text/address.ts';
import type { Address } from '../src/types.ts';
import { claim, given, sabotaged } from './claim.ts';
import { coveredBy, Listing } from './support/listing.ts';

const four = (number: number, prefix: number): string => {
  const bytes = Uint8Array.of(0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 198, 51, number >> 8, number & 0xff);
  return formatAddress(maskAddress({ family: 4, bytes, prefix }));
};
const six = (number: number, prefix: number): string => {
  const bytes = Uint8Array.of(0x20, 1, 0xd, 0xb8, 0, number >> 8, number & 0xff, 0, 0, 0, 0, 0, 0, 0, 0, 7);
  const address: Address = { family: 6, bytes, prefix };
  return formatAddress(maskAddress(address));
};
/** More prefix lengths than sets, close together, so that some are written as longer ones. */
const line = fc.oneof(
  fc.tuple(fc.nat(0xffff), fc.integer({ min: 21, max: 32 })).map(([number, prefix]) => four(number, prefix)),
  fc
    .tuple(fc.nat(0xffff), fc.constantFrom(40, 41, 42, 44, 46, 48, 50, 52, 54, 56, 64, 128))
    .map(([number, prefix]) => six(number, prefix)),
);
const content = fc.array(line, { maxLength: 40 });
const edits = fc.array(content, { minLength: 2, maxLength: 4 });

const mistakes: [what: string, line: string, says: RegExp][] = [
  ['a host name', 'example.net', /drop\.txt:3: "example\.net" is a host name \(write its addresses/],
  ['a wrong address', '198.51.100.256', /drop\.txt:3: "198\.51\.100\.256" is not an address or prefix \(write 192/],
  [
    'bits below a prefix',
    '198.51.100.7/24',
    /drop\.txt:3: .* has bits set below its prefix \(write 198\.51\.100\.0\/24\)/,
  ],
  ['a prefix of everything', '0.0.0.0/0', /drop\.txt:3: .* is wider than a \/8/],
  ['half of all addresses', '128.0.0.0/1', /drop\.txt:3: .* is wider than a \/8/],
  ['a prefix of a registry', '2000::/3', /drop\.txt:3: .* is wider than a \/16/],
  [
    'two addresses',
    '198.51.100.1 198.51.100.2',
    /drop\.txt:3: .* is more than an address \(put what follows it behind/,
  ],
  ['a wrong length', '198.51.100.0/33', /drop\.txt:3: .* has a wrong prefix length/],
  ['a wide prefix with bits below it', '2001:db8::/8', /drop\.txt:3: .* is wider than a \/16/],
  ['a long comment', `# ${'x'.repeat(listLineBytesMax)}`, /drop\.txt:3: is longer than 4096 bytes/],
];

function refusal(listing: Listing): string {
  try {
    listing.config();
    return 'taken';
  } catch (error) {
    if (error instanceof ConfigError) return error.message;
    throw error;
  }
}

/**
 * Each content in turn; at no moment is an address missing that both the old and the new content
 * name.
 */
async function follow(contents: readonly (readonly string[])[]): Promise<number> {
  const listing = new Listing();
  try {
    const [first = [], ...later] = contents;
    listing.write(first);
    await listing.start();
    assert.deepEqual(listing.kernel.held('lists'), coveredBy(first), 'what the kernel holds of a list');
    let before = first;
    for (const lines of later) {
      const gone = new Set<string>();
      const both = coveredBy(lines.filter((each) => before.includes(each)));
      listing.kernel.changed = () => {
        const held = listing.kernel.held('lists');
        for (const each of both) if (!held.some((prefix) => each.startsWith(prefix))) gone.add(each);
      };
      listing.write(lines);
      await listing.pass();
      listing.kernel.changed = () => {};
      assert.deepEqual([...gone], [], 'what a list names before and after an edit is gone meanwhile');
      assert.deepEqual(listing.lists.problems(), []);
      assert.deepEqual(listing.kernel.held('lists'), coveredBy(lines), 'what the kernel holds of a changed list');
      before = lines;
    }
    const settled = listing.kernel.transactions;
    await listing.pass();
    assert.equal(listing.kernel.transactions, settled, 'a list that rests is written again');
    return contents.length;
  } finally {
    await listing.end();
  }
}

async function refuse(): Promise<void> {
  const listing = new Listing();
  const sound = ['198.51.100.1', '2001:db8:7::/48'];
  const stays = (what: string, says: RegExp): void => {
    assert.deepEqual(listing.kernel.held('lists'), coveredBy(sound), `${what} changes what the kernel holds`);
    assert.match(listing.lists.problems().join('\n'), says, `${what} is not told`);
    assert.match(
      refusal(listing),
      new RegExp(says.source.replace(/^drop/, 'list\\[0\\]\\.file: [^ ]*drop')),
      `a reload takes ${what}`,
    );
    assert.doesNotThrow(() => listing.compiled('tried'), `${what} keeps the daemon from starting`);
    const { config, warnings } = listing.compiled('tried');
    assert.match(warnings.join('\n'), says, `${what} is not told at a start`);
    assert.match(warnings.join('\n'), /until this is right, the lists of jail lists are not in force/);
    assert.deepEqual(config.lists?.[0]?.lengths, { 4: [], 6: [] }, `a start takes ${what}`);
  };
  try {
    listing.write(sound);
    await listing.start();
    // What is being written changes from look to look, and is not read yet.
    for (const lines of [['203.0.113.1'], ['203.0.113.1', '203.0.113.2'], sound]) {
      listing.write(lines);
      listing.lists.look();
      await listing.lists.settled();
      assert.deepEqual(listing.kernel.held('lists'), coveredBy(sound), 'a list that is being written is taken');
    }
    await listing.pass();
    for (const [what, line, says] of mistakes) {
      listing.write(['# ours', '198.51.100.1', line, '203.0.113.1']);
      await listing.pass();
      stays(what, says);
    }
    for (const mode of [0o620, 0o602]) {
      listing.write(['203.0.113.1']);
      chmodSync(listing.file, mode);
      await listing.pass();
      stays('a file that others may write', /drop\.txt: may be written by others/);
    }
    rmSync(listing.file);
    await listing.pass();
    stays('a file that is gone', /drop\.txt: cannot be opened: no such file/);
    // Nothing of the file changes when its directory does.
    chmodSync(listing.folder, 0o757);
    listing.write(['203.0.113.2']);
    await listing.pass();
    stays('a file that others may replace', /drop\.txt: is below .*lists, where any user may write/);
    chmodSync(listing.folder, 0o755);
    await listing.pass();
    assert.deepEqual(listing.lists.problems(), [], 'problems of a list whose directory is mended');
    assert.deepEqual(listing.kernel.held('lists'), coveredBy(['203.0.113.2']), 'what a mended directory brings');
    // An editor of Windows: a mark before the text, and line ends of its own.
    listing.write(['\u{feff}203.0.113.3\r', '203.0.113.4\r']);
    await listing.pass();
    assert.deepEqual(listing.kernel.held('lists'), coveredBy(['203.0.113.3', '203.0.113.4']), 'a text of Windows');
    // What can be no source is left out, and what is there twice counts once.
    listing.write(['127.0.0.1', '224.0.0.0/8', '203.0.113.1', '203.0.113.1', 'ff02::/16']);
    await listing.pass();
    assert.deepEqual(listing.lists.problems(), [], 'problems of a list that is sound again');
    assert.deepEqual(listing.kernel.held('lists'), coveredBy(['203.0.113.1']), 'what can be no source is banned');
  } finally {
    await listing.end();
  }
}

/** A start with a list that is wrong; the list comes into force when it is right. */
async function startWithout(): Promise<void> {
  const listing = new Listing();
  try {
    // More than the memory that is kept for an empty list of both families.
    const sound = Array.from({ length: 6 * listEntriesSpare }, (_, number) => four(number, 32));
    listing.write(['example.net', ...sound]);
    await listing.start();
    assert.deepEqual(listing.kernel.held('lists'), [], 'a start brings a list with a mistake');
    assert.match(listing.lists.problems().join('\n'), /drop\.txt:1: "example\.net"/, 'the mistake is told');
    listing.write(sound);
    await listing.pass();
    assert.deepEqual(listing.lists.problems(), [], 'problems of a list that was wrong at the start');
    assert.deepEqual(listing.kernel.held('lists'), coveredBy(sound), 'what a list brings that was wrong at the start');
  } finally {
    await listing.end();
  }
}

interface Piece {
  startWithout(): Promise<void>;
  follow(contents: readonly (readonly string[])[]): Promise<number>;
  refuse(): Promise<void>;
}

const real: Piece = { follow, refuse, startWithout };

claim(
  'X-lists',
  given(real),
  async (piece) => {
    let contents = 0;
    const seed = Date.now() % 2 ** 31;
    for (const each of fc.sample(edits, { numRuns: 25, seed })) {
      try {
        contents += await piece.follow(each);
      } catch (error) {
        (error as Error).message += `\nseed ${seed}: ${JSON.stringify(each)}`;
        throw error;
      }
    }
    await piece.refuse();
    await piece.startWithout();
    return `${contents} contents of a list followed, ${mistakes.length + 4} refused`;
  },
  [
    sabotaged('what a list no longer names stays', /what the kernel holds of a changed list/),
    sabotaged('a list is emptied before it is filled anew', /is gone meanwhile/),
    sabotaged('a list that others may write is taken', /a file that others may write changes what the kernel holds/),
    sabotaged('a list with a mistake is taken without it', /changes what the kernel holds/),
    sabotaged('a list that could not be opened waits for a change of its file', /whose directory is mended/),
    sabotaged('a wrong list keeps the daemon from starting', /keeps the daemon from starting/),
  ],
);
