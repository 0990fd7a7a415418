/** A note as it is kept. Title, excerpt and tags follow from the text and are never stored. */
export interface Note {
  id: string;
  text: string;
  created: string; // ISO 8601, UTC
  updated: string;
  pinned: boolean;
  trashed: string; // when it was put into the trash, or ""
  rev: number; // grows with every change, so that a page can tell that its text is out of date
}

/** What a list shows of a note. */
export interface Summary {
  id: string;
  title: string;
  excerpt: string;
  tags: string[];
  created: string;
  updated: string;
  pinned: boolean;
  trashed: string;
  rev: number;
}

const FENCE = /^ {0,3}(```|~~~)/;
const TAG = /(?:^|[\s(])#(\p{L}[\p{L}\p{N}_/-]{0,49})/gu;
const MAX_TAGS = 32;

/** The lines of a text that are not code. */
function proseLines(text: string): string[] {
  const out: string[] = [];
  let fence = "";
  for (const line of text.split("\n")) {
    const mark = FENCE.exec(line)?.[1];
    if (mark !== undefined && (fence === "" || fence === mark)) {
      fence = fence === "" ? mark : "";
    } else if (fence === "") {
      out.push(line);
    }
  }
  return out;
}

/** The tags of a text: `#word`, in the order of first use, lower case, each once. */
export function tagsOf(text: string): string[] {
  const tags = new Set<string>();
  for (const line of proseLines(text)) {
    for (const match of line.replaceAll(/`[^`]*`/g, "").matchAll(TAG)) {
      if (tags.size < MAX_TAGS) tags.add(match[1]!.toLowerCase().replace(/[-/]+$/, ""));
    }
  }
  return [...tags];
}

/** Takes Markdown's marks off a line, for titles and excerpts. */
function bare(line: string): string {
  return line
    .replace(/^\s*(#{1,6}\s+|>\s?|[-*+]\s+(\[[ xX]\]\s+)?|\d{1,9}[.)]\s+)/, "")
    .replaceAll(/!?\[([^\]\n]{0,200})\]\([^)\s]{0,2000}\)/g, "$1")
    .replaceAll(/(\*\*|__|~~|`|\*(?=\S)|(?<=\S)\*)/g, "")
    .trim();
}

function shorten(text: string, length: number): string {
  const runes = [...text];
  return runes.length <= length ? text : runes.slice(0, length - 1).join("").trimEnd() + "…";
}

/** The first line with words on it, or "". */
export function titleOf(text: string): string {
  for (const line of text.split("\n", 50)) {
    const words = bare(line.slice(0, 400));
    if (words !== "" && !/^[-*_~`]+$/.test(words)) return shorten(words, 80);
  }
  return "";
}

/** What follows the title, on one line. */
export function excerptOf(text: string): string {
  const words: string[] = [];
  let length = 0;
  let titled = false;
  for (const line of text.split("\n", 60)) {
    const part = bare(line.slice(0, 400));
    if (part === "" || /^[-*_~`]+$/.test(part)) continue;
    if (!titled) {
      titled = true;
      continue;
    }
    words.push(part);
    length += part.length;
    if (length > 160) break;
  }
  return shorten(words.join(" "), 140);
}

export function summarize(note: Note): Summary {
  const { text, ...rest } = note;
  return { ...rest, title: titleOf(text), excerpt: excerptOf(text), tags: tagsOf(text) };
}

const HEAD = "---\n";

/** A note as the text of its file: what is not text stands in a head that other Markdown tools know. */
export function formatNote(note: Note): string {
  const head = [`created: ${note.created}`, `updated: ${note.updated}`, `rev: ${note.rev}`];
  if (note.pinned) head.push("pinned: true");
  if (note.trashed !== "") head.push(`trashed: ${note.trashed}`);
  return `${HEAD}${head.join("\n")}\n${HEAD}${note.text}`;
}

/**
 * Reads a note's file. A file without a head is a note too (somebody put it there), so nothing is ever
 * refused: what is missing or makes no sense is filled from `modified`.
 */
export function parseNote(id: string, file: string, modified: Date): Note {
  const when = modified.toISOString();
  const note: Note = { id, text: file, created: when, updated: when, pinned: false, trashed: "", rev: 1 };
  file = file.replaceAll("\r\n", "\n");
  note.text = file;
  if (!file.startsWith(HEAD)) return note;
  const end = file.indexOf("\n" + HEAD, HEAD.length - 1);
  if (end < 0) return note;
  const fields = new Map<string, string>();
  for (const line of file.slice(HEAD.length, end).split("\n")) {
    const colon = line.indexOf(": ");
    if (colon < 0) return note; // some other text between two rules: it is all the user's
    fields.set(line.slice(0, colon), line.slice(colon + 2));
  }
  if (!fields.has("created") || !fields.has("rev")) return note; // a head, but not ours: keep it in the text
  note.text = file.slice(end + 1 + HEAD.length);
  note.created = dateOr(fields.get("created"), when);
  note.updated = dateOr(fields.get("updated"), note.created);
  note.pinned = fields.get("pinned") === "true";
  note.trashed = dateOr(fields.get("trashed"), "");
  const rev = Number(fields.get("rev"));
  note.rev = Number.isSafeInteger(rev) && rev > 0 ? rev : 1;
  return note;
}

function dateOr(value: string | undefined, other: string): string {
  const time = Date.parse(value ?? "");
  return Number.isNaN(time) ? other : new Date(time).toISOString();
}
