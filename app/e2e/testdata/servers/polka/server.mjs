import { join } from "node:path";
import compression from "compression";
import polka from "polka";
import sirv from "sirv";

const text = (res, body) => {
  res.setHeader("Content-Type", "text/plain; charset=utf-8");
  res.end(body);
};
const json = async (req, res, next) => {
  let body = "";
  for await (const chunk of req) body += chunk;
  req.body = JSON.parse(body);
  next();
};
const redirect = (res, location) => res.writeHead(302, { Location: location }).end();

let release = () => {};
const counts = { waiting: 0, gone: 0 };

polka()
  .use(compression({ threshold: 0 }))
  .use("files", sirv(join(import.meta.dirname, "files"), { etag: true }))
  .get("/", (req, res) => text(res, "polka says hello"))
  .post("/json", json, (req, res) => {
    res.setHeader("Content-Type", "application/json");
    res.end(JSON.stringify({ received: req.body }));
  })
  .get("/landed", (req, res) => text(res, "landed"))
  .get("/redirect", (req, res) => redirect(res, "/landed"))
  .get("/redirect/absolute", (req, res) => redirect(res, `http://${req.headers.host}/landed`))
  .get("/large", (req, res) => text(res, "all work and no play\n".repeat(10_000)))
  .get("/login", (req, res) => {
    res.setHeader("Set-Cookie", ["who=anna; HttpOnly; Path=/; SameSite=Lax", "theme=dark; Path=/; Max-Age=86400"]);
    text(res, "welcome");
  })
  .get("/whoami", (req, res) => {
    const cookies = (req.headers.cookie ?? "").split("; ").filter(Boolean).map((pair) => pair.split("="));
    res.setHeader("Content-Type", "application/json");
    res.end(JSON.stringify(Object.fromEntries(cookies)));
  })
  .get("/fail", (req, res, next) => next(new Error("on purpose")))
  .get("/stream", async (req, res) => {
    res.write("first\n");
    await new Promise((resolve) => (release = resolve));
    res.end("second\n");
  })
  .post("/release", (req, res) => {
    release();
    res.writeHead(204).end();
  })
  .get("/counts", (req, res) => res.end(JSON.stringify(counts)))
  .get("/hang", (req, res) => {
    counts.waiting++;
    if (req.query.begin) res.write("begun\n");
    res.on("close", () => counts.gone++);
  })
  .listen(3000, (error) => {
    if (error) throw error;
    console.log("> Running on localhost:3000");
  });
