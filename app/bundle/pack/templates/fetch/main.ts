// The server of the app. Paddock starts it in a process of its own, on a socket of its own: there is no
// port to choose. The working folder is the app's data folder, the only one it may write to.
import { readCount, writeCount } from "./count.ts";

/** The files of the page lie in the app's folder, beside this module. */
const files = new URL("./public/", import.meta.url);

const types: Record<string, string> = {
  "index.html": "text/html; charset=utf-8",
  "style.css": "text/css; charset=utf-8",
  "page.js": "text/javascript; charset=utf-8",
};

async function file(name: string): Promise<Response> {
  const type = types[name];
  if (!type) return new Response("There is no such page.", { status: 404 });
  return new Response(await Deno.readFile(new URL(name, files)), { headers: { "content-type": type } });
}

export default {
  async fetch(request: Request): Promise<Response> {
    const { pathname } = new URL(request.url);
    if (pathname === "/api/count") {
      if (request.method === "POST") await writeCount(await readCount() + 1);
      return Response.json({ count: await readCount() });
    }
    return await file(pathname === "/" ? "index.html" : pathname.slice(1));
  },
};
