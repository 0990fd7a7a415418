const TYPES: Record<string, string> = {
  html: "text/html; charset=utf-8",
  css: "text/css; charset=utf-8",
  js: "text/javascript; charset=utf-8",
  svg: "image/svg+xml",
  png: "image/png",
};

/** Serves the files of the page. Paddock usually does that itself, without waking the app. */
export async function servePublic(request: Request, url: URL, dir: URL): Promise<Response> {
  if (request.method !== "GET" && request.method !== "HEAD") return new Response("Method not allowed\n", { status: 405 });
  const path = url.pathname === "/" ? "/index.html" : url.pathname;
  const type = TYPES[path.slice(path.lastIndexOf(".") + 1)];
  // Plain names only: nothing to decode, and no way up.
  if (type === undefined || !/^(\/[\w-][\w.-]*)+$/.test(path)) return new Response("Not found\n", { status: 404 });
  try {
    const file = await Deno.readFile(new URL(`.${path}`, dir));
    return new Response(request.method === "HEAD" ? null : file, {
      headers: { "content-type": type, "cache-control": "no-cache", "x-content-type-options": "nosniff" },
    });
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return new Response("Not found\n", { status: 404 });
    throw error;
  }
}
