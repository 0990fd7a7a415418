import type { Change } from "../server/store.ts";
import type { Summary } from "../text/note.ts";

export type { Change, Summary };
export type FullNote = Summary & { text: string };

/** This page's name towards the server, so that it can tell its own changes from others'. */
export const page = crypto.randomUUID();

/** An answer that says no. */
export class Failed extends Error {
  constructor(readonly status: number, message: string, readonly current?: FullNote) {
    super(message);
  }
}

async function call<T>(method: string, path: string, body?: unknown, keepalive = false): Promise<T> {
  const headers: Record<string, string> = { "x-page": page };
  if (method !== "GET") headers["content-type"] = "application/json";
  const response = await fetch(path, { method, headers, keepalive, body: body === undefined ? null : JSON.stringify(body) });
  if (!response.headers.get("content-type")?.startsWith("application/json")) {
    throw new Failed(response.status, "The app is not running. Open it again from Paddock.");
  }
  const answer = await response.json() as T & { error?: string; current?: FullNote };
  if (!response.ok) throw new Failed(response.status, answer.error ?? "Something went wrong.", answer.current);
  return answer;
}

const one = (id: string, verb = "") => `/api/notes/${encodeURIComponent(id)}${verb}`;

export const list = (query: string, trash: boolean) =>
  call<Summary[]>("GET", `/api/notes?q=${encodeURIComponent(query)}${trash ? "&trash" : ""}`);
export const get = (id: string) => call<FullNote>("GET", one(id));
export const create = (text: string) => call<FullNote>("POST", "/api/notes", { text });
export const save = (id: string, text: string, rev: number, leaving = false) =>
  call<FullNote>("PUT", one(id), { text, rev }, leaving && text.length < 15_000); // browsers keep 64 KiB alive
export const pin = (id: string, pinned: boolean) => call<FullNote>("POST", one(id, "/pin"), { pinned });
export const trash = (id: string) => call<FullNote>("POST", one(id, "/trash"), {});
export const restore = (id: string) => call<FullNote>("POST", one(id, "/restore"), {});
export const remove = (id: string) => call<object>("DELETE", one(id));
export const emptyTrash = () => call<object>("DELETE", "/api/trash");

/** Calls back for every change made elsewhere, and with null whenever changes may have been missed. */
export function follow(on: (change: Change | null) => void): void {
  const source = new EventSource("/api/events");
  let first = true;
  source.addEventListener("open", () => {
    if (!first) on(null);
    first = false;
  });
  source.addEventListener("message", (event: MessageEvent<string>) => {
    const change = JSON.parse(event.data) as Change;
    if (change.by !== page) on(change);
  });
}
