import { type Note, tagsOf, titleOf } from "./note.ts";

/** Folds case and accents, so that "cafe" finds "Café". */
export function fold(text: string): string {
  return text.normalize("NFD").replaceAll(/\p{M}/gu, "").toLowerCase().replaceAll("ß", "ss");
}

/** What the user typed, taken apart: words that must occur and tags that must be there. */
export interface Query {
  words: string[];
  tags: string[];
}

/** Reads a query: `#tag` asks for a tag, "quoted words" stay together, everything else must occur. */
export function parseQuery(text: string): Query {
  const query: Query = { words: [], tags: [] };
  for (const match of text.slice(0, 500).matchAll(/"([^"]*)"|(\S+)/g)) {
    const word = match[1] ?? match[2]!;
    if (match[2] !== undefined && /^#\p{L}/u.test(word)) query.tags.push(word.slice(1).toLowerCase());
    else if (fold(word).trim() !== "") query.words.push(fold(word));
  }
  return query;
}

/**
 * How well a note fits: 0 not at all, else the higher the better. Every word and tag must fit; a tag is
 * found by its beginning too, so that results come while it is typed.
 */
export function score(note: Note, query: Query): number {
  if (query.tags.length > 0) {
    const tags = tagsOf(note.text);
    if (!query.tags.every((wanted) => tags.some((tag) => tag.startsWith(wanted)))) return 0;
  }
  if (query.words.length === 0) return 1;
  const text = fold(note.text);
  const title = fold(titleOf(note.text));
  let total = 0;
  for (const word of query.words) {
    const at = text.indexOf(word);
    if (at < 0) return 0;
    total += 1;
    if (title.includes(word)) total += 4;
    if (title.startsWith(word)) total += 4;
    if (at === 0 || /[^\p{L}\p{N}]/u.test(text[at - 1]!)) total += 1; // a word's beginning
  }
  return total;
}

/** The notes that fit, best first; pinned before the rest and the newest first when they fit alike. */
export function search(notes: Iterable<Note>, query: Query): Note[] {
  const hits: { note: Note; score: number }[] = [];
  for (const note of notes) {
    const points = score(note, query);
    if (points > 0) hits.push({ note, score: points });
  }
  return hits.sort((a, b) =>
    b.score - a.score || Number(b.note.pinned) - Number(a.note.pinned) ||
    (a.note.updated < b.note.updated ? 1 : a.note.updated > b.note.updated ? -1 : a.note.id < b.note.id ? -1 : 1)
  ).map((hit) => hit.note);
}
