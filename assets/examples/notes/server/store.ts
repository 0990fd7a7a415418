import { type Note, parseNote, formatNote, summarize, type Summary } from "../text/note.ts";
import { parseQuery, search } from "../text/search.ts";
import { sweep, writeWhole } from "./files.ts";

/** Limits that keep one app's memory and disk in bounds. */
export const MAX_TEXT = 1 << 20; // UTF-16 units in one note
export const MAX_NOTES = 20_000;

/** What a page is told. `by` is the page that did it, which knows already. */
export type Change = { kind: "note"; note: Summary; by: string } | { kind: "removed"; id: string; by: string };

/** A refusal with the HTTP status that says it best. */
export class Refused extends Error {
  constructor(readonly status: number, message: string, readonly current?: Note) {
    super(message);
  }
}

const WELCOME = `# Welcome to Notes

Everything you write here stays on this computer. **Nothing needs saving**: every change is kept at once.

- [x] Open Notes
- [ ] Write something and switch to *Read* with Ctrl+E
- [ ] Add a #tag anywhere and find it in the list

Press \`?\` outside the text for all keys.
`;

/** All notes: in memory for search, one file each in the data folder for keeps. */
export class Store {
  #notes = new Map<string, Note>();
  #writes = new Map<string, Promise<void>>(); // the last write of each note, so that they never overtake
  #dir: string;

  constructor(dataDir: string, readonly onChange: (change: Change) => void) {
    this.#dir = `${dataDir}/notes`;
  }

  /** Reads every note. A file that cannot be read is left alone and named in the log. */
  async load(): Promise<void> {
    try {
      await Deno.mkdir(this.#dir);
      await this.create(WELCOME, "");
      return;
    } catch (error) {
      if (!(error instanceof Deno.errors.AlreadyExists)) throw error;
    }
    await sweep(this.#dir);
    const names: string[] = [];
    for await (const entry of Deno.readDir(this.#dir)) {
      if (entry.isFile && /^[\w-]{1,64}\.md$/.test(entry.name)) names.push(entry.name);
    }
    for (let i = 0; i < names.length && i < MAX_NOTES; i += 32) {
      await Promise.all(names.slice(i, i + 32).map((name) => this.#read(name)));
    }
  }

  async #read(name: string): Promise<void> {
    const path = `${this.#dir}/${name}`;
    try {
      const info = await Deno.stat(path);
      if (info.size > 4 * MAX_TEXT) throw new Error("it is too large for a note");
      const id = name.slice(0, -3);
      this.#notes.set(id, parseNote(id, await Deno.readTextFile(path), info.mtime ?? new Date(0)));
    } catch (error) {
      console.error(`${name} is left alone: ${error instanceof Error ? error.message : error}`);
    }
  }

  get(id: string): Note {
    const note = this.#notes.get(id);
    if (note === undefined) throw new Refused(404, "This note no longer exists.");
    return note;
  }

  /** Summaries of the notes, or of the trash, that fit what the user typed. */
  list(query: string, trash: boolean): Summary[] {
    const some = [...this.#notes.values()].filter((note) => (note.trashed !== "") === trash);
    return search(some, parseQuery(query)).map(summarize);
  }

  /** Every note in full, oldest first. */
  all(): Note[] {
    return [...this.#notes.values()].sort((a, b) => a.created < b.created ? -1 : 1);
  }

  async create(text: string, by: string): Promise<Note> {
    if (this.#notes.size >= MAX_NOTES) throw new Refused(507, `There are ${MAX_NOTES} notes; delete some to make room.`);
    check(text);
    const now = new Date().toISOString();
    const note: Note = { id: crypto.randomUUID(), text, created: now, updated: now, pinned: false, trashed: "", rev: 1 };
    return await this.#keep(note, by);
  }

  /** Replaces a note's text. `base` is the revision the page started from: if the note has changed since, nothing is lost and the page is told. */
  async save(id: string, text: string, base: number, by: string): Promise<Note> {
    check(text);
    const note = this.get(id);
    if (note.rev !== base) throw new Refused(409, "This note was changed in another window.", note);
    if (note.text === text) return note;
    return await this.#keep({ ...note, text, updated: new Date().toISOString(), rev: note.rev + 1 }, by);
  }

  async pin(id: string, pinned: boolean, by: string): Promise<Note> {
    const note = this.get(id);
    return await this.#keep({ ...note, pinned, rev: note.rev + 1 }, by);
  }

  async trash(id: string, trashed: boolean, by: string): Promise<Note> {
    const note = this.get(id);
    return await this.#keep({ ...note, trashed: trashed ? new Date().toISOString() : "", pinned: note.pinned && !trashed, rev: note.rev + 1 }, by);
  }

  /** Deletes a note for good; only one in the trash, so that one slip loses nothing. */
  async remove(id: string, by: string): Promise<void> {
    if (this.get(id).trashed === "") throw new Refused(409, "Only a note in the trash can be deleted for good.");
    await this.#inOrder(id, async () => {
      this.#notes.delete(id);
      await Deno.remove(`${this.#dir}/${id}.md`);
    });
    this.onChange({ kind: "removed", id, by });
  }

  async emptyTrash(by: string): Promise<void> {
    for (const note of this.all()) {
      if (note.trashed !== "") await this.remove(note.id, by);
    }
  }

  /** Makes a version the present one. Memory changes first, so that two requests cannot both build on the old one. */
  async #keep(note: Note, by: string): Promise<Note> {
    const before = this.#notes.get(note.id);
    this.#notes.set(note.id, note);
    try {
      await this.#inOrder(note.id, () => writeWhole(this.#dir, `${note.id}.md`, formatNote(note)));
    } catch (error) {
      if (this.#notes.get(note.id) === note) {
        if (before === undefined) this.#notes.delete(note.id);
        else this.#notes.set(note.id, before);
      }
      throw error;
    }
    this.onChange({ kind: "note", note: summarize(note), by });
    return note;
  }

  /** Runs work on a note after all earlier work on it. */
  async #inOrder(id: string, work: () => Promise<void>): Promise<void> {
    const turn = (this.#writes.get(id) ?? Promise.resolve()).catch(() => {}).then(work);
    this.#writes.set(id, turn);
    try {
      await turn;
    } finally {
      if (this.#writes.get(id) === turn) this.#writes.delete(id);
    }
  }
}

function check(text: string): void {
  if (text.length > MAX_TEXT) throw new Refused(413, "This note is too long: a million characters fit into one note.");
}
