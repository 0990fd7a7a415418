import { render } from "../text/markdown.ts";
import { $, showLink, toast } from "./dom.ts";
import * as server from "./server.ts";
import type { FullNote, Summary } from "./server.ts";

const SAVE_AFTER_MS = 250; // a pause in typing
const RETRY_MS = 3000;

/** The open note: shows it, keeps every change at once, and merges what other windows do. */
export class Editor {
  note: FullNote | null = null;
  #saved = ""; // the text the server has
  #saving: Promise<void> | null = null;
  #timer = 0;
  #reading = false;
  #box = $<HTMLTextAreaElement>("editor");
  #preview = $("preview");

  /** onSaved is told of each version the server took, onTag of a tag the user follows. */
  constructor(readonly onSaved: (note: Summary) => void, onTag: (tag: string) => void) {
    this.#box.addEventListener("input", () => this.#later());
    this.#box.addEventListener("blur", () => void this.flush());
    addEventListener("pagehide", () => this.#leave());
    document.addEventListener("visibilitychange", () => {
      if (document.visibilityState === "hidden") this.#leave();
    });
    this.#preview.addEventListener("click", (event) => {
      const target = event.target as HTMLElement;
      const link = target.closest("a");
      if (link !== null) {
        event.preventDefault(); // Notes asks for no permission, so it may not open links
        showLink(link.href);
      }
      if (target.dataset["tag"] !== undefined) onTag(target.dataset["tag"]);
      if (target.dataset["line"] !== undefined) this.#toggle(Number(target.dataset["line"]));
    });
  }

  get #dirty(): boolean {
    return this.note !== null && this.#box.value !== this.#saved;
  }

  /** Shows a note, after the one before is safe. */
  async open(note: FullNote | null): Promise<void> {
    await this.flush();
    this.note = note;
    this.#saved = this.#box.value = note?.text ?? "";
    $("note-bar").hidden = $("pane").hidden = note === null;
    $("nothing").hidden = note !== null;
    this.#box.readOnly = note !== null && note.trashed !== "";
    this.#box.setSelectionRange(0, 0);
    $("pane").scrollTop = 0;
    this.#status("");
    this.#facts();
    this.read(this.#reading && note?.text !== "");
  }

  /** Switches between writing and reading. */
  read(on: boolean): void {
    this.#reading = on;
    if (on) this.#preview.innerHTML = render(this.#box.value); // render escapes everything that is not its own mark
    this.#preview.hidden = !on;
    this.#box.hidden = on;
    $("write").setAttribute("aria-pressed", String(!on));
    $("read").setAttribute("aria-pressed", String(on));
  }

  toggleRead(): void {
    if (this.note === null) return;
    this.read(!this.#reading);
    this.focus();
  }

  focus(): void {
    (this.#reading ? this.#preview : this.#box).focus({ preventScroll: true });
  }

  /** Another window changed this note. Untouched here, it is shown; touched, the next save settles it. */
  async follow(summary: Summary): Promise<void> {
    if (this.note === null || this.note.id !== summary.id || this.note.rev >= summary.rev || this.#dirty || this.#saving !== null) return;
    const fresh = await server.get(summary.id);
    if (this.note?.id === fresh.id && !this.#dirty) this.#take(fresh);
  }

  /** Takes a version from the server without moving what the user looks at. */
  #take(fresh: FullNote): void {
    const { selectionStart, selectionEnd } = this.#box;
    this.note = fresh;
    this.#saved = fresh.text;
    if (this.#box.value !== fresh.text) {
      this.#box.value = fresh.text;
      this.#box.setSelectionRange(selectionStart, selectionEnd);
    }
    this.#box.readOnly = fresh.trashed !== "";
    this.#facts();
    if (this.#reading) this.read(true);
  }

  /** Takes what the server says of the open note after a pin or trash of our own. */
  update(fresh: FullNote): void {
    if (this.note?.id !== fresh.id) return;
    this.note = { ...fresh, text: this.note.text };
    this.#box.readOnly = fresh.trashed !== "";
    this.#facts();
  }

  #facts(): void {
    const note = this.note;
    const trashed = note !== null && note.trashed !== "";
    $("pin").setAttribute("aria-pressed", String(note?.pinned ?? false));
    $("pin").hidden = trashed;
    $("restore").hidden = !trashed;
    const label = trashed ? "Delete for good" : "Move to trash";
    $("trash").setAttribute("aria-label", label);
    $("trash").title = `${label} (Delete)`;
  }

  #later(): void {
    this.#status("Saving…");
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => void this.flush(), SAVE_AFTER_MS) as unknown as number;
  }

  /** Saves what is not saved; returns once it is, or has failed and will be tried again. */
  async flush(): Promise<void> {
    clearTimeout(this.#timer);
    while (this.#saving !== null) await this.#saving;
    if (!this.#dirty) return;
    this.#saving = this.#save().finally(() => this.#saving = null);
    await this.#saving;
    if (this.#dirty && this.#timer === 0) this.#later(); // typed on meanwhile
  }

  async #save(): Promise<void> {
    const note = this.note!;
    const text = this.#box.value;
    this.#timer = 0;
    try {
      const fresh = await server.save(note.id, text, note.rev);
      this.#saved = text;
      this.note = { ...fresh, text };
      this.#status("Saved");
      this.onSaved(fresh);
    } catch (error) {
      if (error instanceof server.Failed && error.status === 409 && error.current !== undefined) {
        await this.#keepBoth(text, error.current);
      } else if (error instanceof server.Failed && error.status === 404) {
        const copy = await server.create(text); // deleted in another window: the words live on
        this.#take(copy);
        this.onSaved(copy);
      } else {
        this.#status(`Not saved. ${error instanceof server.Failed ? error.message : "Trying again…"}`, true);
        this.#timer = setTimeout(() => void this.flush(), RETRY_MS) as unknown as number;
      }
    }
  }

  /** Two windows changed the same note: both texts are kept, ours as a note of its own. */
  async #keepBoth(text: string, theirs: FullNote): Promise<void> {
    const ours = await server.create(text);
    this.#take(theirs);
    this.#status("");
    this.onSaved(theirs);
    this.onSaved(ours);
    toast("This note was changed in another window. Your version is now a note of its own.", {
      label: "Show it",
      run: () => void this.open(ours),
    });
  }

  #leave(): void {
    const note = this.note;
    if (note === null || !this.#dirty || this.#saving !== null) return;
    const text = this.#box.value;
    server.save(note.id, text, note.rev, true).then((fresh) => {
      if (this.note?.id !== fresh.id) return;
      this.note = { ...fresh, text };
      this.#saved = text;
      this.onSaved(fresh);
    }, () => {}); // the page may be gone; if not, the next change saves
  }

  /** Ticks or unticks the check box that stands on a line of the text. */
  #toggle(line: number): void {
    const lines = this.#box.value.split("\n");
    const text = lines[line];
    if (text === undefined || this.note?.trashed !== "") return this.read(true);
    lines[line] = text.replace(/\[([ xX])\]/, (_, mark: string) => mark === " " ? "[x]" : "[ ]");
    this.#box.value = lines.join("\n");
    this.read(true);
    void this.flush();
  }

  #status(text: string, bad = false): void {
    $("status").textContent = text;
    $("status").classList.toggle("bad", bad);
  }
}
