import { Hono } from "hono";
import { compress } from "hono/compress";
import { getCookie, setCookie } from "hono/cookie";
import { serveStatic, upgradeWebSocket } from "hono/deno";
import { stream, streamSSE } from "hono/streaming";

const app = new Hono();
app.use("/large", compress());
app.use("/files/*", serveStatic({ root: import.meta.dirname }));

app.get("/", (c) => c.text("hono says hello"));
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
    await new Promise<void>((resolve) => (release = resolve));
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

app.post("/upload", async (c) => {
  const form = await c.req.formData();
  const file = form.get("file") as File;
  const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", await file.arrayBuffer()));
  return c.json({ name: file.name, note: form.get("note"), size: file.size, sha256: digest.toHex() });
});

app.get("/socket", upgradeWebSocket(() => ({
  onMessage(event, socket) {
    socket.send(event.data as string | ArrayBuffer);
  },
  onClose() {
    counts.gone++;
  },
})));

app.get("/events", (c) =>
  streamSSE(c, async (out) => {
    await out.writeSSE({ id: c.req.header("last-event-id") ?? "0", event: "tick", data: "first" });
    await new Promise<void>((resolve) => (release = resolve));
    await out.writeSSE({ id: "2", event: "tick", data: "second" });
  }));

export default app;
