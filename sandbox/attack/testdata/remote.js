// Modules of sites that Deno imports from by default, and what errors tell. The app may talk to one site, which is none
// of those.
import fs from "node:fs";
import { fresh, leak, must, posted, script } from "./kit.js";

// remote is a module on a site, new for each row. The path is not in the text of any module of the app.
let counter = 0;
const remote = (host) => `https://${host}/module.js?${++counter}`;

const by = (load) => async (w) => leak(await load(remote(w.importHosts[0]), w));

export default {
  "remote: a static import of a module in data": by(async (url, w) => {
    const path = fresh(w.data) + ".js";
    Deno.writeTextFileSync(path, `import t from ${JSON.stringify(url)}; export default t;`);
    return (await import(path)).default;
  }),
  "remote: a re-export of a data: module": by(async (url) =>
    (await import(script(`export { default } from ${JSON.stringify(url)};`))).default
  ),
  "remote: a worker's module": by((url) => posted(new Worker(url.replace("module.js", "worker.js"), { type: "module" }))),
  "remote: what a data: worker imports": by((url) =>
    posted(new Worker(script(`import t from ${JSON.stringify(url)}; postMessage(t);`), { type: "module" }))
  ),
  "remote: a worker that asks for the right to import": by((url, w) =>
    posted(
      new Worker(script(`import t from ${JSON.stringify(url)}; postMessage(t);`), {
        type: "module",
        deno: w.unstable ? { permissions: { import: true, net: true } } : undefined,
      }),
    )
  ),
  "remote: text": by(async (url) => (await import(url, { with: { type: "text" } })).default),
  "remote: JSON": by(async (url) => (await import(url.replace("module.js", "secret.json"), { with: { type: "json" } })).default.text),
  "remote: a redirect to another site": by(async (url, w) =>
    (await import(url.replace("module.js", "redirect") + "&to=" + encodeURIComponent(remote(w.importHosts[1])))).default
  ),
  "remote: worker_threads": by(async (url) => {
    const { Worker } = await import("node:worker_threads");
    return await new Promise((resolve, reject) =>
      new Worker(`import(${JSON.stringify(url)}).then((m) => require("node:worker_threads").parentPort.postMessage(m.default), (e) => { throw e; });`, { eval: true })
        .on("message", resolve).on("error", reject).on("exit", reject)
    );
  }),
  "remote: after the right was asked for": by(async (url) => {
    must((await Deno.permissions.request({ name: "import", host: new URL(url).host })).state === "granted", "not granted");
    return (await import(url)).default;
  }),

  // The name of what a link leads to is known to nobody who cannot follow it. Whatever fails must not tell it either.
  "errors: where a link leads": async (w) => {
    const { DatabaseSync } = await import("node:sqlite");
    const link = w.home + "/signpost", said = [];
    for (
      const attempt of [
        () => Deno.readTextFileSync(link), () => Deno.readLinkSync(link), () => Deno.realPathSync(link), () => Deno.statSync(link),
        () => Deno.openSync(link, { write: true }), () => Deno.renameSync(link, link), () => Deno.watchFs(link), () => Deno.chdir(link),
        () => Deno.copyFileSync(link, fresh(w.data)), () => Deno.linkSync(link, fresh(w.data)), () => Deno.readDirSync(link).toArray(),
        () => fs.readFileSync(link), () => fs.realpathSync(link), () => fs.realpathSync.native(link), () => fs.readlinkSync(link),
        () => fs.cpSync(link, fresh(w.data)), () => fs.opendirSync(link), () => fs.accessSync(link), () => fs.watch(link).close(),
        () => process.chdir(link), () => import(link), () => import(link, { with: { type: "text" } }), () => posted(new Worker("file://" + link, { type: "module" })),
        () => fetch("file://" + link), () => new Deno.Command(link).output(), () => new Deno.Command("/bin/true", { cwd: link }).output(),
        () => Deno.dlopen(link, {}), () => process.dlopen({ exports: {} }, link), () => new DatabaseSync(link),
        () => Deno.permissions.querySync({ name: "read", path: link }), () => process.getBuiltinModule("node:module").createRequire(link)(link),
      ]
    ) {
      try {
        const value = await attempt();
        said.push(typeof value === "string" ? value : Deno.inspect(value));
      } catch (error) {
        said.push([error, error?.cause].map((e) => `${e} ${e?.message} ${e?.stack} ${e?.path} ${e?.dest} ${Deno.inspect(e)}`).join());
      }
    }
    return must(said.find((text) => text.includes(w.signpost)), "nothing names it").slice(0, 120);
  },
  // denoland/deno #25434: the error named the program that a bare name was found to be.
  "errors: where a program lies": async () => {
    const said = [];
    for (const options of [{}, { env: { PATH: "/bin:/usr/bin" } }, { args: ["-c", "command -v sh"], env: { PATH: "/bin:/usr/bin" } }]) {
      try {
        said.push(new TextDecoder().decode((await new Deno.Command("sh", options).output()).stdout));
      } catch (error) {
        said.push(`${error} ${error?.message} ${error?.stack}`);
      }
    }
    return must(said.find((text) => /\/bin\/sh\b/.test(text)), "nothing names it: " + said[0].slice(0, 80)).slice(0, 120);
  },

  // One row for each site that Deno imports from when nothing is said: the host is in the row's name.
  ...Object.fromEntries([
    "deno.land", "jsr.io", "esm.sh", "raw.esm.sh", "cdn.jsdelivr.net", "raw.githubusercontent.com", "gist.githubusercontent.com",
  ].map((host) => ["remote: " + host, async () => leak((await import(remote(host))).default)])),
};
