import { type Note, summarize } from "../text/note.ts";
import type { Events } from "./events.ts";
import { explain } from "./files.ts";
import { MAX_TEXT, Refused, type Store } from "./store.ts";

/** Answers the page. Every answer is JSON but the event stream and the export. */
export async function api(request: Request, url: URL, store: Store, events: Events): Promise<Response> {
  try {
    return await route(request, url, store, events);
  } catch (error) {
    if (error instanceof Refused) {
      return json({ error: error.message, current: error.current }, error.status);
    }
    console.error(error);
    return json({ error: explain(error) }, 507);
  }
}

async function route(request: Request, url: URL, store: Store, events: Events): Promise<Response> {
  const [, , what, id, verb] = url.pathname.split("/");
  const by = (request.headers.get("x-page") ?? "").slice(0, 64);
  switch (`${request.method} ${what}${id === undefined ? "" : "/id"}${verb === undefined ? "" : "/" + verb}`) {
    case "GET events":
      return events.connect();
    case "GET notes":
      return json(store.list(url.searchParams.get("q") ?? "", url.searchParams.has("trash")));
    case "POST notes":
      return json(full(await store.create(text(await body(request)), by)), 201);
    case "GET notes/id":
      return json(full(store.get(id!)));
    case "PUT notes/id": {
      const sent = await body(request);
      return json(full(await store.save(id!, text(sent), Number(sent["rev"]), by)));
    }
    case "POST notes/id/pin":
      return json(full(await store.pin(id!, (await body(request))["pinned"] === true, by)));
    case "POST notes/id/trash":
      return json(full(await store.trash(id!, true, by)));
    case "POST notes/id/restore":
      return json(full(await store.trash(id!, false, by)));
    case "DELETE notes/id":
      await store.remove(id!, by);
      return json({});
    case "DELETE trash":
      await store.emptyTrash(by);
      return json({});
    case "GET export":
      return exported(store, url.searchParams.get("format") ?? "md");
  }
  throw new Refused(404, "There is no such thing here.");
}

const full = (note: Note) => ({ ...summarize(note), text: note.text });

function json(value: unknown, status = 200): Response {
  return new Response(JSON.stringify(value), {
    status,
    headers: { "content-type": "application/json", "cache-control": "no-store" },
  });
}

async function body(request: Request): Promise<Record<string, unknown>> {
  // JSON needs a preflight from another site, which nobody here answers.
  if (!(request.headers.get("content-type") ?? "").startsWith("application/json")) {
    throw new Refused(415, "Send JSON.");
  }
  const raw = await bounded(request, 4 * MAX_TEXT);
  try {
    const value: unknown = JSON.parse(raw);
    if (typeof value === "object" && value !== null && !Array.isArray(value)) return value as Record<string, unknown>;
  } catch {
    // said below
  }
  throw new Refused(400, "The request is not a JSON object.");
}

async function bounded(request: Request, limit: number): Promise<string> {
  const decoder = new TextDecoder();
  let out = "";
  let size = 0;
  for await (const chunk of request.body ?? []) {
    size += chunk.byteLength;
    if (size > limit) throw new Refused(413, "This note is too long: a million characters fit into one note.");
    out += decoder.decode(chunk, { stream: true });
  }
  return out + decoder.decode();
}

function text(sent: Record<string, unknown>): string {
  const value = sent["text"];
  if (typeof value !== "string") throw new Refused(400, "A note needs a text.");
  return value.replaceAll("\r\n", "\n");
}

/** Everything but the trash as one file: Markdown to read, or JSON to process. */
function exported(store: Store, format: string): Response {
  const notes = store.all().filter((note) => note.trashed === "");
  const day = new Date().toISOString().slice(0, 10);
  const [type, content] = format === "json"
    ? ["application/json", JSON.stringify(notes.map(full), null, 2)]
    : ["text/markdown; charset=utf-8", notes.map((note) => note.text.trim()).join("\n\n---\n\n") + "\n"];
  return new Response(content, {
    headers: {
      "content-type": type,
      "content-disposition": `attachment; filename="notes-${day}.${format === "json" ? "json" : "md"}"`,
      "cache-control": "no-store",
    },
  });
}
