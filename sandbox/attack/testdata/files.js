// Reading what the app was not given.
import { Buffer } from "node:buffer";
import fs from "node:fs";
import { createRequire } from "node:module";
import { AT_FDCWD, bytes, call, fresh, leak, must, own, posted, script } from "./kit.js";

const promises = fs.promises;
const named = (entries) => entries.map((e) => e.name ?? e).find((name) => String(name).includes("id_paddock"));

export default {
  "read: Deno.readTextFileSync": (w) => leak(Deno.readTextFileSync(w.secret)),
  "read: Deno.readFile": async (w) => leak(await Deno.readFile(w.secret)),
  "read: Deno.readFile of a file URL": async (w) => leak(await Deno.readFile(new URL("file://" + w.secret))),
  "read: Deno.open": (w) => {
    using file = Deno.openSync(w.secret);
    const buffer = new Uint8Array(100);
    return leak(buffer.subarray(0, file.readSync(buffer)));
  },
  "read: a stream of Deno.open": async (w) => leak(await new Response((await Deno.open(w.secret)).readable).text()),
  "read: Deno.copyFile into data": (w) => {
    const to = fresh(w.data);
    Deno.copyFileSync(w.secret, to);
    return leak(Deno.readTextFileSync(to));
  },
  "read: fs.readFileSync": (w) => leak(fs.readFileSync(w.secret, "utf8")),
  "read: fs.promises.readFile": async (w) => leak(await promises.readFile(w.secret, "utf8")),
  "read: fs.openSync and readSync": (w) => {
    const buffer = Buffer.alloc(100);
    const fd = fs.openSync(w.secret, "r");
    const n = fs.readSync(fd, buffer);
    fs.closeSync(fd);
    return leak(buffer.subarray(0, n));
  },
  "read: fs.createReadStream": async (w) => {
    let text = "";
    for await (const chunk of fs.createReadStream(w.secret)) text += chunk;
    return leak(text);
  },
  "read: fs.cpSync into data": (w) => {
    const to = fresh(w.data);
    fs.cpSync(w.secret, to);
    return leak(fs.readFileSync(to));
  },
  "read: fs.copyFile into data": async (w) => {
    const to = fresh(w.data);
    await promises.copyFile(w.secret, to);
    return leak(fs.readFileSync(to));
  },
  "read: fs.openAsBlob": async (w) => leak(await (await fs.openAsBlob(w.secret)).text()),
  "read: fs.promises.open": async (w) => {
    const handle = await promises.open(w.secret);
    try {
      return leak(await handle.readFile());
    } finally {
      await handle.close();
    }
  },
  "read: fetch of a file URL": async (w) => leak(await (await fetch("file://" + w.secret)).text()),
  "read: fetch with dots in percent signs": async (w) =>
    leak(await (await fetch("file://" + w.app + "/%2e%2e/%2e%2e/%2e%2e" + w.secret.slice(w.root.length))).text()),
  "read: WebAssembly.compileStreaming of a file URL": async (w) =>
    must((await WebAssembly.compileStreaming(fetch("file://" + w.home + "/secret.wasm"))) instanceof WebAssembly.Module),
  "read: dots in the path": (w) => leak(Deno.readTextFileSync(w.app + "/../../.." + w.secret.slice(w.root.length))),
  "read: a folder whose name begins like the app's": (w) => leak(Deno.readTextFileSync(w.app + "endix/secret")),
  "read: a relative path after chdir": (w) => {
    const back = Deno.cwd();
    Deno.chdir(w.home);
    try {
      return leak(Deno.readTextFileSync("secret.json"));
    } finally {
      Deno.chdir(back);
    }
  },
  "read: a relative path after process.chdir": (w) => {
    const back = Deno.cwd();
    process.chdir(w.home);
    try {
      return leak(fs.readFileSync("secret.json"));
    } finally {
      process.chdir(back);
    }
  },
  "read: /proc/self/root": (w) => leak(Deno.readTextFileSync("/proc/self/root" + w.secret)),
  "read: /proc/self/cwd": (w) => leak(Deno.readTextFileSync("/proc/self/cwd/../../.." + w.secret.slice(w.root.length))),
  "read: a link made with Deno.symlink": (w) => {
    const to = fresh(w.data);
    Deno.symlinkSync(w.secret, to);
    return leak(Deno.readTextFileSync(to));
  },
  "read: a link made with fs.symlink": (w) => {
    const to = fresh(w.data);
    fs.symlinkSync(w.secret, to);
    return leak(fs.readFileSync(to));
  },
  "read: a folder link made with fs.symlink": (w) => {
    const to = fresh(w.data);
    fs.symlinkSync(w.home, to, "dir");
    return leak(fs.readFileSync(to + "/secret.json"));
  },
  "read: a hard link made with Deno.link": (w) => {
    const to = fresh(w.data);
    Deno.linkSync(w.secret, to);
    return leak(Deno.readTextFileSync(to));
  },
  "read: a hard link made with fs.link": (w) => {
    const to = fresh(w.data);
    fs.linkSync(w.secret, to);
    return leak(fs.readFileSync(to));
  },
  "read: a hard link made with linkat": (w) => {
    const to = fresh(w.data);
    call("linkat", AT_FDCWD, bytes(w.secret), AT_FDCWD, bytes(to), 0);
    return leak(Deno.readTextFileSync(to));
  },
  "read: Deno.rename into data": (w) => {
    const to = fresh(w.data);
    Deno.renameSync(w.home + "/moved-1", to);
    return leak(Deno.readTextFileSync(to));
  },
  "read: fs.rename into data": (w) => {
    const to = fresh(w.data);
    fs.renameSync(w.home + "/moved-2", to);
    return leak(fs.readFileSync(to));
  },
  "read: exchange with renameat2": (w) => {
    const mine = own(w);
    call("renameat2", AT_FDCWD, bytes(w.home + "/moved-3"), AT_FDCWD, bytes(mine), 2);
    return leak(Deno.readTextFileSync(mine));
  },
  "read: openat": (w) => {
    const buffer = new Uint8Array(40);
    call("read", call("openat", AT_FDCWD, bytes(w.secret), 0), buffer, 40);
    return leak(buffer);
  },
  "read: openat2": (w) => {
    const buffer = new Uint8Array(40);
    call("read", call("openat2", AT_FDCWD, bytes(w.secret), new BigUint64Array(3), 24), buffer, 40);
    return leak(buffer);
  },
  "read: a file handle by name_to_handle_at": (w) => {
    const handle = new Uint8Array(136);
    new DataView(handle.buffer).setUint32(0, 128, true);
    const mount = new Int32Array(1);
    return call("name_to_handle_at", AT_FDCWD, bytes(w.secret), handle, mount, 0) === 0;
  },

  // folders
  "list: Deno.readDir": (w) => must(named([...Deno.readDirSync(w.home + "/.ssh")])),
  "list: fs.readdirSync": (w) => must(named(fs.readdirSync(w.home + "/.ssh"))),
  "list: fs.readdir, recursive": async (w) => must(named(await promises.readdir(w.home, { recursive: true }))),
  "list: fs.opendir": (w) => {
    const dir = fs.opendirSync(w.home + "/.ssh");
    try {
      return must(named([dir.readSync()]));
    } finally {
      dir.closeSync();
    }
  },
  "list: fs.globSync": (w) => must(named(fs.globSync(w.home + "/.ssh/*"))),
  "list: the parent of the app": (w) => must([...Deno.readDirSync(w.app + "/..")].length),
  "list: /": () => must([...Deno.readDirSync("/")].length),
  "list: /tmp": () => must([...Deno.readDirSync("/tmp")].length),

  // metadata
  "metadata: Deno.stat": (w) => Deno.statSync(w.secret).size,
  "metadata: Deno.lstat": (w) => Deno.lstatSync(w.secret).size,
  "metadata: fs.statSync": (w) => fs.statSync(w.secret).size,
  "metadata: fs.existsSync": (w) => must(fs.existsSync(w.secret)),
  "metadata: fs.accessSync": (w) => fs.accessSync(w.secret) ?? "there",
  "metadata: fs.statfsSync": (w) => fs.statfsSync(w.home).type,
  "metadata: Deno.readLink": (w) => Deno.readLinkSync(w.home + "/link"),
  "metadata: fs.readlinkSync": (w) => fs.readlinkSync(w.home + "/link"),
  "metadata: Deno.realPath": (w) => Deno.realPathSync(w.home + "/link"),
  "metadata: fs.realpathSync": (w) => fs.realpathSync(w.home + "/link"),
  "metadata: extended attributes": (w) => {
    const buffer = new Uint8Array(64);
    const n = call("getxattr", bytes(w.secret), bytes("user.paddock"), buffer, 64);
    return leak(buffer.subarray(0, n));
  },
  "metadata: stat of a file open for writing": (w) => {
    using file = Deno.openSync(w.secret, { read: false, write: true });
    return file.statSync().size;
  },
  "metadata: stat through /proc/self/root": (w) => Deno.statSync("/proc/self/root" + w.secret).size,
  "list: /proc/self/root": (w) => must(named([...Deno.readDirSync("/proc/self/root" + w.home + "/.ssh")])),
  "metadata: fs.watchFile": (w) =>
    new Promise((resolve, reject) => {
      const path = w.home + "/watched-1";
      fs.watchFile(path, { interval: 20 }, (now) => {
        fs.unwatchFile(path);
        now.size > 0 ? resolve(now.size) : reject(new Error("nothing seen"));
      });
      setTimeout(() => call("truncate", bytes(path), 3), 60);
      setTimeout(() => (fs.unwatchFile(path), reject(new Error("nothing seen"))), 1000);
    }),

  // changes
  "watch: Deno.watchFs": (w) => Deno.watchFs(w.home).close() ?? "watching",
  "watch: fs.watch": (w) =>
    new Promise((resolve, reject) => {
      const watcher = fs.watch(w.home);
      watcher.on("error", reject);
      setTimeout(() => (watcher.close(), resolve("watching")), 200);
    }),
  "watch: inotify": () => call("inotify_init1", 0),
  "watch: fanotify": () => call("fanotify_init", 0x200, 0),

  // modules
  "import: text": async (w) => leak((await import(w.secret, { with: { type: "text" } })).default),
  "import: JSON": async (w) => leak((await import(w.home + "/secret.json", { with: { type: "json" } })).default.text),
  "import: JavaScript": async (w) => leak((await import(w.home + "/secret.js")).default),
  "import: WebAssembly": async (w) => must((await import(w.home + "/secret.wasm")).answer() === 42),
  "import: /etc/passwd as text": async () =>
    must((await import("/etc/" + "passwd", { with: { type: "text" } })).default.includes("root")),
  "import: a data: module that imports": async (w) =>
    leak((await import(script(`import t from ${JSON.stringify("file://" + w.secret)} with { type: "text" }; export default t;`))).default),
  "import: a blob: module that imports": async (w) => {
    const text = `import t from ${JSON.stringify("file://" + w.home + "/secret.js")}; export default t;`;
    return leak((await import(URL.createObjectURL(new Blob([text], { type: "text/javascript" })))).default);
  },
  "import: a module in data that imports": async (w) => {
    const path = fresh(w.data) + ".js";
    Deno.writeTextFileSync(path, `import t from ${JSON.stringify("file://" + w.secret)} with { type: "text" }; export default t;`);
    return leak((await import(path)).default);
  },
  "import: a module in data that re-exports": async (w) => {
    const path = fresh(w.data) + ".js";
    Deno.writeTextFileSync(path, `export { default } from ${JSON.stringify("file://" + w.home + "/secret.js")};`);
    return leak((await import(path)).default);
  },
  "import: a worker's module outside": async (w) => leak(await posted(new Worker("file://" + w.home + "/worker.js", { type: "module" }))),
  "import: a data: worker that imports": async (w) => {
    const text = `import t from ${JSON.stringify("file://" + w.secret)} with { type: "text" }; postMessage(t);`;
    return leak(await posted(new Worker(script(text), { type: "module" })));
  },
  "import: a data: worker that reads": async (w) =>
    leak(await posted(new Worker(script(`postMessage(Deno.readTextFileSync(${JSON.stringify(w.secret)}))`), { type: "module" }))),
  "import: a worker that asks for permissions": async (w) =>
    leak(
      await posted(
        new Worker(script(`postMessage(Deno.readTextFileSync(${JSON.stringify(w.secret)}))`), {
          type: "module",
          deno: w.unstable ? { permissions: "inherit" } : undefined,
        }),
      ),
    ),
  "import: worker_threads, eval": async (w) => {
    const { Worker } = await import("node:worker_threads");
    const worker = new Worker(
      `const { parentPort } = require("node:worker_threads"); parentPort.postMessage(require("node:fs").readFileSync(${JSON.stringify(w.secret)}, "utf8"))`,
      { eval: true },
    );
    try {
      return leak(await new Promise((resolve, reject) => worker.on("message", resolve).on("error", reject)));
    } finally {
      await worker.terminate();
    }
  },
  "import: require of JSON": (w) => leak(createRequire("file://" + w.app + "/app.js")(w.home + "/secret.json").text),
  "import: require of a script": (w) => leak(createRequire("file://" + w.app + "/app.js")(w.home + "/secret.cjs")),
  "import: require through a link": (w) => {
    const to = fresh(w.data) + ".json";
    fs.symlinkSync(w.home + "/secret.json", to);
    return leak(createRequire("file://" + w.app + "/app.js")(to).text);
  },
  "import: a load hook that leads out": async (w) => {
    const { default: module } = await import("node:module");
    let source;
    const hooks = module.registerHooks({
      resolve: () => ({ url: "file://" + w.data + "/node_modules/x", shortCircuit: true }),
      load: (_url, _context, next) => {
        source = next(w.data + "/node_modules/" + "../".repeat(w.data.split("/").length) + w.secret.slice(1)).source;
        return { format: "json", source: "{}", shortCircuit: true };
      },
    });
    try {
      fs.mkdirSync(w.data + "/node_modules", { recursive: true });
      module._load("hooked-" + Deno.pid, null, false);
    } catch (error) {
      if (source === undefined) throw error;
    } finally {
      hooks.deregister();
    }
    return leak(source);
  },
  "import: require.resolve as an oracle": (w) => must(createRequire("file://" + w.app + "/app.js").resolve(w.home + "/secret.cjs")),

  // databases
  "sqlite: open": async (w) => {
    const { DatabaseSync } = await import("node:sqlite");
    return leak(new DatabaseSync(w.home + "/secret.db").prepare("select text from t").get().text);
  },
  "sqlite: open for reading only": async (w) => {
    const { DatabaseSync } = await import("node:sqlite");
    return leak(new DatabaseSync(w.home + "/secret.db", { readOnly: true }).prepare("select text from t").get().text);
  },
  "sqlite: open by URI": async (w) => {
    const { DatabaseSync } = await import("node:sqlite");
    return leak(new DatabaseSync("file:" + w.home + "/secret.db?mode=ro").prepare("select text from t").get().text);
  },
  "sqlite: attach": async (w) => {
    const { DatabaseSync } = await import("node:sqlite");
    const db = new DatabaseSync(fresh(w.data));
    db.exec(`attach '${w.home}/secret.db' as other`);
    return leak(db.prepare("select text from other.t").get().text);
  },
  "sqlite: attach after raising the limit": async (w) => {
    const { DatabaseSync } = await import("node:sqlite");
    const db = new DatabaseSync(fresh(w.data), { limits: { attach: 5 } });
    db.limits.attach = 5;
    db.exec(`attach '${w.home}/secret.db' as other`);
    return leak(db.prepare("select text from other.t").get().text);
  },
  "sqlite: attach from memory": async (w) => {
    const { DatabaseSync } = await import("node:sqlite");
    const db = new DatabaseSync(":memory:");
    db.exec(`attach '${w.home}/secret.db' as other`);
    return leak(db.prepare("select text from other.t").get().text);
  },
  "sqlite: vacuum into a folder outside": async (w) => {
    const { DatabaseSync } = await import("node:sqlite");
    const to = fresh(w.outside);
    new DatabaseSync(fresh(w.data)).exec(`create table t (x); vacuum into '${to}'`);
    return must(Deno.statSync(to).size);
  },
  "sqlite: backup to a folder outside": async (w) => {
    const { backup, DatabaseSync } = await import("node:sqlite");
    const to = fresh(w.outside);
    const db = new DatabaseSync(fresh(w.data));
    db.exec("create table t (x)");
    await backup(db, to);
    return must(Deno.statSync(to).size);
  },
  "sqlite: load an extension": async (w) => {
    const { DatabaseSync } = await import("node:sqlite");
    const db = new DatabaseSync(":memory:", { allowExtension: true });
    db.enableLoadExtension?.(true);
    try {
      db.loadExtension(w.library);
    } catch (error) {
      // a library that is no extension is loaded before it is found to be none
      must(/undefined symbol|entry point/.test(String(error)), String(error));
    }
    return "loaded";
  },
  "kv: a database outside": async (w) => (await Deno.openKv(fresh(w.outside))).close() ?? "made",

  // other processes and the machine
  "proc: list the processes": () => must([...Deno.readDirSync("/proc")].length > 5),
  "proc: another process's environment": (w) => leak(Deno.readTextFileSync(`/proc/${w.victim}/environ`)),
  "proc: the parent's environment": () => leak(Deno.readTextFileSync(`/proc/${Deno.ppid}/environ`)),
  "proc: the parent's command line": () => must(Deno.readTextFileSync(`/proc/${Deno.ppid}/cmdline`)),
  "proc: another process's memory": (w) => {
    using file = Deno.openSync(`/proc/${w.victim}/mem`);
    file.seekSync(w.victimAddress, Deno.SeekMode.Start);
    const buffer = new Uint8Array(32);
    file.readSync(buffer);
    return leak(buffer);
  },
  "proc: another process's files": (w) => must([...Deno.readDirSync(`/proc/${w.victim}/fd`)].length),
  "proc: another process's root": (w) => leak(Deno.readTextFileSync(`/proc/${w.victim}/root${w.secret}`)),
  "proc: the network": (w) => must(Deno.readTextFileSync("/proc/self/net/tcp").includes(":" + w.net.TCP.toString(16).toUpperCase().padStart(4, "0") + " ")),
  "proc: the mounts": () => must(Deno.readTextFileSync("/proc/self/mounts").includes(" /dev/pts ")),
  "proc: own environment": () => leak(Deno.readTextFileSync("/proc/self/environ")),
  "proc: own memory": () => must(Deno.openSync("/proc/self/mem", { read: true, write: true })),
  "proc: own memory map": () => must(Deno.readTextFileSync("/proc/self/maps")),
  "proc: own killing order": () => Deno.writeTextFileSync("/proc/self/oom_score_adj", "0") ?? "lowered",
  "dev: shared memory": () => {
    const path = fresh("/dev/shm");
    Deno.writeTextFileSync(path, "x");
    Deno.removeSync(path);
    return "written";
  },
  "dev: a terminal": () => must(Deno.openSync("/dev/ptmx", { read: true, write: true })),
  "dev: a descriptor by path": () => must(Deno.openSync("/proc/self/fd/0")),
  "etc: passwd": () => must(Deno.readTextFileSync("/etc/passwd").includes("root")),
  "etc: hostname": () => must(Deno.readTextFileSync("/etc/hostname").length + 1),
};
