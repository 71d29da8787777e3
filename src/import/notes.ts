/**
 * What an import has to say: each note names what it is about and how much it matters. Text comes
 * from the tree, which may be anybody's: it is made printable where it is shown.
 */

/**
 * `info`: carried over, with a difference worth knowing. `warning`: something is lost or differs,
 * and an operator should look. `lost`: a jail that was enabled is not protected now.
 */
export type Weight = 'info' | 'warning' | 'lost';

export interface Note {
  weight: Weight;
  /** The jail concerned; '' for the tree as a whole. */
  jail: string;
  /** `file:line`, or '' where there is none. */
  place: string;
  /** What was found, as it was written, where that helps. */
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
