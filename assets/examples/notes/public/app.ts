import { $, choice, dialog, el, toast } from "../browser/dom.ts";
import { Editor } from "../browser/editor.ts";
import { List } from "../browser/list.ts";
import * as server from "../browser/server.ts";
import type { Summary } from "../browser/server.ts";

const app = $("app");
const search = $<HTMLInputElement>("search");
let showTrash = false;
let asked = 0; // number of the latest list asked for: answers may come out of order
let newest = Promise.resolve(); // that list drawn

const editor = new Editor(() => void refresh(), (tag) => toggleTag(tag));
const list = new List((id) => void open(id), (tag) => toggleTag(tag));

/** Draws the list anew. Of several at once only the newest draws, and the others end with it. */
function refresh(): Promise<void> {
  return newest = draw(++asked);
}

async function draw(turn: number): Promise<void> {
  const query = search.value.trim();
  const notes = await server.list(query, showTrash);
  if (turn !== asked) return newest;
  list.draw(notes, editor.note?.id ?? "", query, showTrash);
}

/** Runs what a click or key asked for, and says so when it fails. */
function act(work: Promise<unknown>): void {
  work.catch((error: unknown) => {
    toast(error instanceof server.Failed ? error.message : "The app does not answer. Your text is still here.");
  });
}

async function open(id: string, focus = false): Promise<void> {
  await editor.open(await server.get(id));
  app.classList.add("open");
  await refresh();
  list.reveal(id);
  if (focus) editor.focus();
}

async function create(): Promise<void> {
  await editor.flush();
  if (showTrash) show(false);
  const tag = search.value.trim();
  if (!/^#\p{L}[\p{L}\p{N}_/-]*$/u.test(tag)) search.value = ""; // a tag that is looked at goes into the new note
  const note = await server.create(search.value === "" ? "" : `\n\n${tag}\n`);
  editor.read(false);
  await open(note.id, true);
}

async function close(): Promise<void> {
  await editor.open(null);
  app.classList.remove("open");
  await refresh();
}

function show(trash: boolean): void {
  showTrash = trash;
  $("show-notes").setAttribute("aria-pressed", String(!trash));
  $("show-trash").setAttribute("aria-pressed", String(trash));
  $("empty").hidden = !trash;
  $("export").hidden = trash;
  act(refresh());
}

function toggleTag(tag: string): void {
  const words = search.value.split(/\s+/).filter((word) => word !== "");
  const at = words.indexOf(`#${tag}`);
  if (at >= 0) words.splice(at, 1);
  else words.push(`#${tag}`);
  search.value = words.join(" ");
  app.classList.remove("open");
  act(refresh());
}

async function pin(): Promise<void> {
  await editor.flush();
  const note = editor.note;
  if (note === null || note.trashed !== "") return;
  editor.update(await server.pin(note.id, !note.pinned));
  await refresh();
}

/** Moves the open note to the trash with a way back, or out of the trash for good after a question. */
async function discard(): Promise<void> {
  await editor.flush();
  const note = editor.note;
  if (note === null) return;
  if (note.trashed !== "") {
    const gone = async () => {
      await server.remove(note.id);
      await close();
    };
    dialog("Delete this note for good?", [el("p", { text: `“${note.title || "New note"}” cannot be brought back.` })], [
      choice("Keep it", ""),
      choice("Delete", "danger", () => act(gone())),
    ]);
    return;
  }
  const following = list.beside(note.id, 1) ?? list.beside(note.id, -1);
  await server.trash(note.id);
  if (following !== undefined && matchMedia("(min-width: 721px)").matches) await open(following);
  else await close();
  toast("Moved to the trash.", { label: "Undo", run: () => act(server.restore(note.id).then(() => open(note.id))) });
}

async function restore(): Promise<void> {
  const note = editor.note;
  if (note === null || note.trashed === "") return;
  editor.update(await server.restore(note.id));
  show(false);
  toast("Restored.");
}

function emptyTrash(): void {
  const n = list.notes.length;
  if (n === 0) return;
  const gone = async () => {
    await server.emptyTrash();
    await close();
  };
  dialog("Empty the trash?", [el("p", { text: n === 1 ? "One note will be gone for good." : `${n} notes will be gone for good.` })], [
    choice("Keep them", ""),
    choice("Empty trash", "danger", () => act(gone())),
  ]);
}

function exportAll(): void {
  const download = (label: string, format: string, kind: string) => {
    const link = el("a", { class: `button ${kind}`, text: label }) as HTMLAnchorElement;
    link.href = `/api/export?format=${format}`;
    link.download = "";
    return link;
  };
  act(editor.flush());
  dialog("Export all notes", [el("p", { text: "One file with everything that is not in the trash." })], [
    download("Markdown", "md", "primary"),
    download("JSON", "json", ""),
    choice("Cancel", ""),
  ]);
}

const KEYS: [string, string][] = [
  ["n", "New note"], ["/", "Search"], ["j  k", "Next, previous note"], ["Enter", "Write"], ["Ctrl E", "Write or read"],
  ["p", "Pin"], ["Delete", "Move to the trash"], ["Esc", "Leave the text"],
];

function showKeys(): void {
  const table = el("dl", {}, ...KEYS.flatMap(([key, what]) => [el("dt", {}, el("kbd", { text: key })), el("dd", { text: what })]));
  dialog("Keys", [table], [choice("Close", "primary")]);
}

function step(by: number): void {
  const id = list.beside(editor.note?.id ?? "", by);
  if (id !== undefined) act(open(id));
}

function onKey(event: KeyboardEvent): void {
  if ($<HTMLDialogElement>("dialog").open) return;
  const target = event.target as HTMLElement;
  if ((event.ctrlKey || event.metaKey) && !event.altKey && !event.shiftKey && (event.key === "e" || event.key === "k")) {
    event.preventDefault();
    if (event.key === "e") editor.toggleRead();
    else search.focus();
    return;
  }
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  const typing = target instanceof HTMLTextAreaElement || target instanceof HTMLInputElement && target.type !== "checkbox";
  if (event.key === "Escape") {
    if (target === search && search.value !== "") {
      search.value = "";
      act(refresh());
    } else if (typing) target.blur();
    else if (app.classList.contains("open")) act(close());
    return;
  }
  if (target === search && (event.key === "Enter" || event.key === "ArrowDown")) {
    event.preventDefault();
    search.blur();
    act(refresh().then(() => { // what is shown may still be the answer to fewer letters
      const first = list.notes[0]?.id;
      if (first !== undefined) return open(first);
    }));
    return;
  }
  if (typing) return;
  const run = ({
    "n": () => act(create()), "/": () => search.focus(), "?": showKeys, "p": () => act(pin()), "Delete": () => act(discard()),
    "j": () => step(1), "k": () => step(-1), "ArrowDown": () => step(1), "ArrowUp": () => step(-1),
  } as Record<string, () => void>)[event.key];
  if (run !== undefined && !(event.key.startsWith("Arrow") && target.id === "preview")) {
    event.preventDefault();
    run();
  } else if (event.key === "Enter" && editor.note !== null && !(target instanceof HTMLButtonElement || target instanceof HTMLAnchorElement)) {
    event.preventDefault();
    editor.read(false);
    editor.focus();
  }
}

$("new").addEventListener("click", () => act(create()));
$("back").addEventListener("click", () => act(close()));
$("write").addEventListener("click", () => { editor.read(false); editor.focus(); });
$("read").addEventListener("click", () => editor.read(true));
$("pin").addEventListener("click", () => act(pin()));
$("trash").addEventListener("click", () => act(discard()));
$("restore").addEventListener("click", () => act(restore()));
$("show-notes").addEventListener("click", () => show(false));
$("show-trash").addEventListener("click", () => show(true));
$("empty").addEventListener("click", emptyTrash);
$("export").addEventListener("click", exportAll);
$("keys").addEventListener("click", showKeys);
search.addEventListener("input", () => act(refresh()));
document.addEventListener("keydown", onKey);

server.follow((change) => {
  const seen = async (note: Summary) => {
    await editor.follow(note);
    await refresh();
  };
  if (change === null) {
    // The connection was lost for a while: look again at everything shown.
    act(refresh().then(async () => {
      if (editor.note !== null) await editor.follow(await server.get(editor.note.id));
    }));
  } else if (change.kind === "note") {
    act(seen(change.note));
  } else if (editor.note?.id === change.id) {
    act(close());
  } else {
    act(refresh());
  }
});

act(refresh().then(() => {
  const first = list.notes[0]?.id;
  if (first !== undefined && matchMedia("(min-width: 721px)").matches) return open(first);
}));
