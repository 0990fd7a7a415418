import { createHash } from "node:crypto";
import { join } from "node:path";
import { PassThrough } from "node:stream";
import compress from "@fastify/compress";
import cookie from "@fastify/cookie";
import multipart from "@fastify/multipart";
import files from "@fastify/static";
import Fastify from "fastify";

const fastify = Fastify({ logger: true });
await fastify.register(compress);
await fastify.register(cookie, { secret: "only for the test" });
await fastify.register(multipart, { limits: { fileSize: 20 << 20 } });
await fastify.register(files, { root: join(import.meta.dirname, "files"), prefix: "/files/" });

fastify.get("/", async () => "fastify says hello");
fastify.post("/json", {
  schema: { body: { type: "object", required: ["text"], properties: { text: { type: "string" }, list: { type: "array" } } } },
}, async (request) => ({ received: request.body }));
fastify.get("/landed", async () => "landed");
fastify.get("/redirect", (request, reply) => reply.redirect("/landed"));
fastify.get("/redirect/absolute", (request, reply) => reply.redirect(`${request.protocol}://${request.host}/landed`));
fastify.get("/large", (request, reply) => reply.type("text/plain").send("all work and no play\n".repeat(10_000)));
fastify.get("/login", (request, reply) =>
  reply.setCookie("who", "anna", { path: "/", httpOnly: true, sameSite: "lax" })
    .setCookie("theme", "dark", { path: "/", maxAge: 86_400 }).send("welcome"));
fastify.get("/whoami", async (request) => request.cookies);
fastify.get("/fail", async () => {
  throw new Error("on purpose");
});

let stream = new PassThrough();
fastify.get("/stream", (request, reply) => {
  stream = new PassThrough();
  stream.write("first\n");
  return reply.type("text/plain").send(stream);
});
fastify.post("/release", async (request, reply) => {
  stream.end("second\n");
  return reply.code(204).send();
});

const counts = { waiting: 0, gone: 0 };
fastify.get("/counts", async () => counts);
fastify.get("/hang", (request, reply) => {
  counts.waiting++;
  request.raw.on("close", () => counts.gone++);
  if (request.query.begin) {
    const begun = new PassThrough();
    begun.write("begun\n");
    reply.type("text/plain").send(begun);
  }
});

fastify.post("/upload", async (request) => {
  const part = await request.file();
  const hash = createHash("sha256");
  let size = 0;
  for await (const chunk of part.file) {
    size += chunk.length;
    hash.update(chunk);
  }
  return { name: part.filename, note: part.fields.note.value, size, sha256: hash.digest("hex") };
});

await fastify.listen({ port: 3000 });
