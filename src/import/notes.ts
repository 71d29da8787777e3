/**
 * The notes of an import: each says what it is about and how serious it is. Their texts come from
 * the tree, which anybody may have written. They are made printable when they are shown.
 */

/**
 * `info`: carried over, with a difference worth knowing. `warning`: something is lost or differs,
 * and an operator should look. `lost`: an enabled jail is not protected now.
 */
export type Weight = 'info' | 'warning' | 'lost';

export interface Note {
  weight: Weight;
  /** The jail concerned; '' for the tree as a whole. */
  jail: string;
  /** `file:line`, or '' if there is none. */
  place: string;
  /** The text as it was written, if that helps. */
  found?: string;
  text: string;
  /** What to do. */
  hint?: string;
}

export class Notes {
  readonly all: Note[] = [];
  readonly #seen = new Set<string>();

  /** Adds a note once. */
  add(note: Note): void {
    const key = JSON.stringify([note.jail, note.place, note.found, note.text]);
    if (this.#seen.has(key)) return;
    this.#seen.add(key);
    this.all.push(note);
  }

  has(weight: Weight, jail?: string): boolean {
    return this.all.some((note) => note.weight === weight && (jail === undefined || note.jail === jail));
  }

  count(weight: Weight): number {
    return this.all.filter((note) => note.weight === weight).length;
  }
}
