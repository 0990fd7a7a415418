import { $, el, when } from "./dom.ts";
import type { Summary } from "./server.ts";

const MAX_TAGS = 14;
const MAX_ROWS = 500; // more is a matter for search

/** The list at the left: notes that fit the search, and their tags. */
export class List {
  notes: Summary[] = [];
  #box = $("list");

  constructor(readonly onOpen: (id: string) => void, readonly onTag: (tag: string) => void) {}

  /** Draws the list. An unchanged row keeps its element, so that focus and scrolling stay. */
  draw(notes: Summary[], current: string, query: string, trash: boolean): void {
    this.notes = notes;
    const old = new Map<string, HTMLElement>();
    for (const item of this.#box.querySelectorAll<HTMLElement>("li[data-id]")) old.set(item.dataset["id"]!, item);
    const rows = notes.slice(0, MAX_ROWS).map((note) => {
      const stamp = `${note.rev} ${new Date().toDateString()}`;
      let item = old.get(note.id);
      if (item === undefined || item.dataset["stamp"] !== stamp) {
        item = this.#row(note);
        item.dataset["stamp"] = stamp;
      }
      item.firstElementChild!.setAttribute("aria-current", String(note.id === current));
      return item;
    });
    if (notes.length === 0) {
      rows.push(el("li", { class: "empty", text: trash ? "The trash is empty." : query === "" ? "No notes yet." : "Nothing fits." }));
    } else if (notes.length > MAX_ROWS) {
      rows.push(el("li", { class: "empty", text: `and ${notes.length - MAX_ROWS} more: search to find them` }));
    }
    const focused = (document.activeElement as HTMLElement | null)?.closest<HTMLElement>("li[data-id]")?.dataset["id"];
    this.#box.replaceChildren(...rows);
    if (focused !== undefined) this.#element(focused)?.focus();
    this.#tags(notes, query);
  }

  #row(note: Summary): HTMLElement {
    const title = el("strong", { text: note.title || "New note", class: note.pinned ? "pinned" : "" });
    const time = el("time", { text: when(note.updated) });
    const row = el("button", { class: "row" }, title, el("div", { class: "line" }, time, el("span", { text: note.excerpt })));
    row.setAttribute("type", "button");
    row.addEventListener("click", () => this.onOpen(note.id));
    const item = el("li", {}, row);
    item.dataset["id"] = note.id;
    return item;
  }

  #tags(notes: Summary[], query: string): void {
    const count = new Map<string, number>();
    for (const note of notes) for (const tag of note.tags) count.set(tag, (count.get(tag) ?? 0) + 1);
    const top = [...count].sort((a, b) => b[1] - a[1] || a[0].localeCompare(b[0])).slice(0, MAX_TAGS);
    $("tags").replaceChildren(...top.map(([tag, n]) => {
      const button = el("button", { class: "tag", text: `#${tag}`, title: n === 1 ? "1 note" : `${n} notes` });
      button.setAttribute("type", "button");
      button.setAttribute("aria-pressed", String(query.split(/\s+/).includes(`#${tag}`)));
      button.addEventListener("click", () => this.onTag(tag));
      return button;
    }));
  }

  /** The id before or after another in the list, or the first. */
  beside(id: string, step: number): string | undefined {
    const at = this.notes.findIndex((note) => note.id === id);
    return (at < 0 ? this.notes[0] : this.notes[at + step])?.id;
  }

  #element(id: string): HTMLElement | undefined {
    return this.#box.querySelector<HTMLElement>(`li[data-id="${CSS.escape(id)}"] > .row`) ?? undefined;
  }

  reveal(id: string): void {
    this.#element(id)?.scrollIntoView({ block: "nearest" });
  }
}
