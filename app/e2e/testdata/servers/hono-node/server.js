import { join } from "node:path";
import { serve } from "@hono/node-server";
import { serveStatic } from "@hono/node-server/serve-static";
import { Hono } from "hono";
import { compress } from "hono/compress";
import { getCookie, setCookie } from "hono/cookie";
import { stream } from "hono/streaming";

const app = new Hono();
app.use("/large", compress());
app.use("/files/*", serveStatic({ root: join(import.meta.dirname) }));

app.get("/", (c) => c.text("hono-node says hello"));
app.post("/json", async (c) => c.json({ received: await c.req.json() }));
app.get("/landed", (c) => c.text("landed"));
app.get("/redirect", (c) => c.redirect("/landed"));
app.get("/redirect/absolute", (c) => c.redirect(new URL("/landed", c.req.url).href));
app.get("/large", (c) => c.text("all work and no play\n".repeat(10_000)));
app.get("/login", (c) => {
  setCookie(c, "who", "anna", { httpOnly: true, sameSite: "Lax" });
  setCookie(c, "theme", "dark", { maxAge: 86_400 });
  return c.text("welcome");
});
app.get("/whoami", (c) => c.json(getCookie(c)));
app.get("/fail", () => {
  throw new Error("on purpose");
});

let release = () => {};
app.post("/release", (c) => {
  release();
  return c.body(null, 204);
});
app.get("/stream", (c) =>
  stream(c, async (out) => {
    await out.write("first\n");
    await new Promise((resolve) => (release = resolve));
    await out.write("second\n");
  }));

const counts = { waiting: 0, gone: 0 };
app.get("/counts", (c) => c.json(counts));
app.get("/hang", async (c) => {
  counts.waiting++;
  if (!c.req.query("begin")) {
    c.req.raw.signal.addEventListener("abort", () => counts.gone++);
    await new Promise(() => {});
  }
  return stream(c, async (out) => {
    out.onAbort(() => {
      counts.gone++;
    });
    await out.write("begun\n");
    await new Promise(() => {});
  });
});

serve({ fetch: app.fetch, port: 8787 }, (info) => console.log(`Listening on http://localhost:${info.port}`));

export default app;
