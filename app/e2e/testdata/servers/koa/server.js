import { dirname, join } from "path";
import { PassThrough } from "stream";
import { fileURLToPath } from "url";
import { bodyParser } from "@koa/bodyparser";
import Router from "@koa/router";
import Koa from "koa";
import compress from "koa-compress";
import files from "koa-static";

const here = dirname(fileURLToPath(import.meta.url));
const app = new Koa();
app.silent = true;
app.use(compress());
app.use(bodyParser());
app.use(files(join(here, "files")));

const router = new Router();
router.get("/", (ctx) => {
  ctx.body = "koa says hello";
});
router.post("/json", (ctx) => {
  ctx.body = { received: ctx.request.body };
});
router.get("/landed", (ctx) => {
  ctx.body = "landed";
});
router.get("/redirect", (ctx) => ctx.redirect("/landed"));
router.get("/redirect/absolute", (ctx) => ctx.redirect(`${ctx.protocol}://${ctx.host}/landed`));
router.get("/large", (ctx) => {
  ctx.type = "text";
  ctx.body = "all work and no play\n".repeat(10_000);
});
router.get("/login", (ctx) => {
  ctx.cookies.set("who", "anna", { sameSite: "lax" });
  ctx.cookies.set("theme", "dark", { maxAge: 86_400_000 });
  ctx.body = "welcome";
});
router.get("/whoami", (ctx) => {
  ctx.body = { who: ctx.cookies.get("who"), theme: ctx.cookies.get("theme") };
});
router.get("/fail", () => {
  throw new Error("on purpose");
});

let stream = new PassThrough();
router.get("/stream", (ctx) => {
  ctx.type = "text";
  ctx.body = stream = new PassThrough();
  stream.write("first\n");
});
router.post("/release", (ctx) => {
  stream.end("second\n");
  ctx.status = 204;
});

const counts = { waiting: 0, gone: 0 };
router.get("/counts", (ctx) => {
  ctx.body = counts;
});
router.get("/hang", async (ctx) => {
  counts.waiting++;
  ctx.req.on("close", () => counts.gone++);
  if (ctx.query.begin) {
    ctx.body = new PassThrough();
    ctx.body.write("begun\n");
    return;
  }
  await new Promise(() => {});
});

app.use(router.routes()).use(router.allowedMethods());
app.listen(Number(process.env.PORT ?? 3000), "0.0.0.0");
