/** Breakages of the sources: which bytes of which file are read, and when. */
import type { Breakage } from '../breakage.ts';

export const sources: readonly Breakage[] = [
  {
    name: 'a log that was renamed is closed at once',
    find: 'file.tail = null;\n    this.addRetired(file, tail);',
    put: 'file.tail = null;\n    this.#close(file, tail);',
    claims: ['LP-20'],
  },
  {
    name: 'a log that was cut and has grown past our place again is read on in the middle',
    find: 'return count < length || (length > 0 && hashBytes(scratch, 0, length) !== hash) ? -1 : count - length;',
    put: 'return count < length ? -1 : count - length;',
    claims: ['LP-20'],
  },
  {
    name: 'a new file under the name is read from its end',
    find: 'if (this.#initial) this.#seekInitially(file, tail);',
    put: 'if (this.#initial || replaced !== null) this.#seekInitially(file, tail);',
    claims: ['LP-20'],
  },
  {
    name: 'a log that was cut is read from where we were',
    find: '    this.#expect(this);\n    this.position = 0;',
    put: '    this.#expect(this);\n',
    claims: ['LP-20'],
  },
  {
    name: 'a log is read from its beginning at the first start',
    find: 'if (saved.length === 0) tail.seekEnd(this.#shared.options.sink.buffer);',
    put: '',
    claims: ['LP-20'],
  },
  {
    name: 'a saved place is believed whatever stands before it',
    find: 'if (offset > this.size() || !this.#fits(offset, mark.hash, mark.length)) return false;',
    put: 'if (offset > this.size()) return false;',
    claims: ['LP-20'],
  },
  {
    name: 'what inotify says of the log itself is not heard',
    find: 'IN_MODIFY, () => this.#reader.written(file, tail)) ?? null;',
    put: 'IN_MODIFY, () => {}) ?? null;',
    claims: ['LP-16'],
  },
  {
    name: 'no log is watched, all are polled',
    find: 'return this.#options.events?.(listeners) ?? new Inotify(listeners);',
    put: 'return this.#options.events?.(listeners) ?? null;',
    claims: ['LP-16'],
  },
  {
    name: 'a rotation is not heard',
    find: 'touched: (file) => this.#touched(file),',
    put: 'touched: () => {},',
    claims: ['LP-16'],
  },
  {
    name: 'each log keeps a copy of the block that was read last',
    find: 'if (this.#discards) return this.#discard(buffer, count);',
    put: 'Object.assign(this, { last: Buffer.from(buffer.subarray(0, count)) });\n    if (this.#discards) return this.#discard(buffer, count);',
    claims: ['PE-18'],
  },
  {
    name: 'the reader tries a regular expression on what it read',
    find: 'if (count === 0) return this.#end();',
    put: 'if (count === 0 || /^\\0+$/.test(buffer.subarray(0, count).toString())) return this.#end();',
    claims: ['PE-01'],
  },
  {
    name: 'a FIFO is opened as a log',
    find: 'if (!info.isFile()) throw new NotALog(path, kindOf(info));',
    put: '',
    claims: [],
    tests: ['test/unit/file-source.test.ts'],
  },
  {
    name: 'files of the kernel are read as logs',
    find: 'if (kernelFileSystem !== undefined) throw',
    put: 'if (kernelFileSystem === path) throw',
    claims: [],
    tests: ['test/unit/file-source.test.ts'],
  },
  {
    name: 'reading goes on while the ring of decisions is full',
    find: 'if (file.decides && this.#isHeldUp()) {',
    put: 'if (file.decides && this.#paused) {',
    claims: [],
    tests: ['test/unit/file-source.test.ts'],
  },
  {
    name: 'all jails read all logs',
    find: 'this.#jailsOf[source] = jails;',
    put: 'this.#jailsOf[source] = [...this.#jails.keys()];',
    claims: [],
    tests: ['test/unit/operator.test.ts', 'test/unit/file-source.test.ts'],
  },
];
