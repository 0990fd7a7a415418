// Using up what everybody shares. Each row succeeds once it holds far more than its budget behind the walls: 160 MB of
// memory, 64 MB of disk, a second of processor time.
import fs from "node:fs";
import { bytes, call, fresh, must, script } from "./kit.js";

const MB = 1 << 20;
const held = [];

let watched; // false in the control run, in which nobody looks
// pause gives the host the chance that it would have with an app that works for longer: it looks every 10 to 250 ms.
const pause = (ms = 300) => watched ? new Promise((resolve) => setTimeout(resolve, ms)) : undefined;

async function filled(make, count = 60) { // 240 MB in steps of 4
  for (let i = 0; i < count; i++) held.push(make());
  await pause();
  return `${held.length} pieces`;
}

const block = new Uint8Array(4 * MB).fill(7);

// exactly takes memory in small steps until the process holds 21 MB more than its budget: no overshoot is that large.
// Then it stays a second, which is longer than any look takes.
async function exactly(w, take) {
  while (Deno.memoryUsage().rss < w.budget + 21 * MB) {
    held.push(take());
    await 0;
  }
  await pause(1000);
  return Deno.memoryUsage().rss;
}

const rows = {
  "memory: the heap": async () => {
    for (let i = 0; i < 1_900_000; i++) held.push({ x: [1.5, i, i, i] });
    await pause();
    return `${held.length} objects`;
  },
  "memory: array buffers": () => filled(() => new Uint8Array(4 * MB).fill(1)),
  "memory: shared array buffers": () => filled(() => new Uint8Array(new SharedArrayBuffer(4 * MB)).fill(1)),
  "memory: buffers of Node": () => filled(() => process.getBuiltinModule("node:buffer").Buffer.alloc(4 * MB, 1)),
  "memory: blobs": () => filled(() => new Blob([block])),
  "memory: WebAssembly": () => filled(() => {
    const memory = new WebAssembly.Memory({ initial: 64 });
    new Uint8Array(memory.buffer).fill(1);
    return memory;
  }),
  "memory: one WebAssembly memory that grows": async () => {
    const memory = new WebAssembly.Memory({ initial: 1 });
    for (let i = 0; i < 60; i++) {
      memory.grow(64);
      new Uint8Array(memory.buffer, memory.buffer.byteLength - 4 * MB).fill(1);
    }
    held.push(memory);
    await pause();
    return memory.buffer.byteLength;
  },
  "memory: SQLite": async () => {
    const { DatabaseSync } = await import("node:sqlite");
    const db = new DatabaseSync(":memory:");
    db.exec("create table t (x)");
    const insert = db.prepare("insert into t values (?)");
    for (let i = 0; i < 60; i++) insert.run(block);
    held.push(db);
    await pause();
    return db.prepare("select count(*) as n from t").get().n;
  },
  "memory: mmap": async () => {
    for (let i = 0; i < 80; i++) {
      const at = call("mmap", 0, 4 * MB, 3, 0x22, -1, 0);
      new Uint8Array(Deno.UnsafePointerView.getArrayBuffer(Deno.UnsafePointer.create(BigInt(at)), 4 * MB)).fill(1);
    }
    await pause();
    return "320 MB";
  },
  "memory: shared mmap of a memory file": async () => {
    const fd = call("memfd_create", bytes("x"), 0);
    for (let i = 0; i < 80; i++) must(call("write", fd, block, block.length) === block.length);
    const at = call("mmap", 0, 320 * MB, 3, 1, fd, 0);
    const all = new Uint8Array(Deno.UnsafePointerView.getArrayBuffer(Deno.UnsafePointer.create(BigInt(at)), 320 * MB));
    for (let i = 0; i < all.length; i += 4096) all[i] = 2;
    await pause();
    return "320 MB";
  },
  "memory: workers": async () => {
    const text = "const a = []; for (let i = 0; i < 5e5; i++) a.push({ x: [i] }); postMessage(a.length); setInterval(() => a.length, 1000);";
    for (let i = 0; i < 4; i++) {
      await new Promise((resolve, reject) => {
        const worker = new Worker(script(text), { type: "module" });
        held.push(worker);
        worker.onmessage = resolve;
        worker.onerror = (e) => (e.preventDefault(), reject(new Error(e.message)));
      });
    }
    await pause();
    for (const worker of held) worker.terminate();
    return `${held.length} workers`;
  },
  "memory: worker_threads with limits of their own": async () => {
    const { Worker } = await import("node:worker_threads");
    const text = `const a = []; for (let i = 0; i < 3e6; i++) a.push({ x: [1.5, i] }); require("node:worker_threads").parentPort.postMessage(a.length); setInterval(() => a.length, 1000);`;
    const worker = new Worker(text, { eval: true, resourceLimits: { maxOldGenerationSizeMb: 3000 } });
    try {
      await new Promise((resolve, reject) => worker.on("message", resolve).on("error", reject).on("exit", reject));
      await pause();
      return "held";
    } finally {
      await worker.terminate();
    }
  },
  // Twice the burst above what the budget gives in the same time, in core-seconds: on a machine so busy that the app
  // gets less than its share, it has used up nothing, however long that takes.
  "processor: a loop": async (w) => {
    let turns = 0;
    const began = performance.now(), before = process.cpuUsage().user;
    while ((process.cpuUsage().user - before) / 1e6 < 2 * w.burst + w.cores * (performance.now() - began) / 1e3) {
      for (let i = 0; i < 1e7; i++) turns++;
      await pause(0);
    }
    return turns;
  },
  "disk: one large file": async (w) => {
    const path = fresh(w.data);
    const file = Deno.openSync(path, { write: true, create: true });
    for (let i = 0; i < 30; i++) must(file.writeSync(block) === block.length);
    await pause();
    return must(Deno.statSync(path).size >= 120 * MB);
  },
  "disk: many files": async (w) => {
    for (let i = 0; i < 30; i++) Deno.writeFileSync(fresh(w.data), block);
    await pause();
    return "120 MB";
  },
  "disk: copies": async (w) => {
    const path = fresh(w.data);
    Deno.writeFileSync(path, block);
    for (let i = 0; i < 30; i++) fs.copyFileSync(path, fresh(w.data));
    await pause();
    return "120 MB";
  },
  "disk: a file without a name": async (w) => {
    const files = [];
    for (let i = 0; i < 6; i++) {
      const path = fresh(w.data);
      const file = Deno.openSync(path, { write: true, create: true });
      Deno.removeSync(path);
      for (let k = 0; k < 5; k++) must(file.writeSync(block) === block.length);
      files.push(file);
    }
    await pause(1000);
    return `${files.length} files`;
  },
  "disk: a file with holes": (w) => {
    const path = fresh(w.data);
    Deno.writeTextFileSync(path, "");
    Deno.truncateSync(path, 2 ** 36);
    return must(Deno.statSync(path).size === 2 ** 36);
  },
  "disk: fallocate": (w) => {
    using file = Deno.openSync(fresh(w.data), { write: true, create: true });
    const path = fresh(w.data);
    const fd = call("openat", -100, bytes(path), 0o101, 0o600);
    must(call("fallocate", fd, 0, 0, 120 * MB) === 0);
    return must(file && Deno.statSync(path).blocks * 512 >= 120 * MB);
  },
  "disk: the Cache": async () => {
    const cache = await caches.open("big");
    for (let i = 0; i < 15; i++) await cache.put("http://x/" + i, new Response(new Uint8Array(8 * MB)));
    await pause();
    return "120 MB";
  },
  "disk: SQLite's temporary files": async () => {
    const { DatabaseSync } = await import("node:sqlite");
    const db = new DatabaseSync(":memory:");
    db.exec("pragma temp_store = 1; pragma cache_size = 10; create temp table t (x)");
    const insert = db.prepare("insert into t values (?)");
    for (let i = 0; i < 30; i++) insert.run(block);
    await pause(1000);
    return db.prepare("select count(*) as n from t").get().n;
  },
  "handles: files": (w) => {
    const path = fresh(w.data);
    Deno.writeTextFileSync(path, "x");
    const files = [];
    try {
      for (let i = 0; i < 1500; i++) files.push(Deno.openSync(path));
      return files.length;
    } finally {
      for (const file of files) file.close();
    }
  },
  "exact: array buffers": (w) => exactly(w, () => new Uint8Array(MB).fill(1)),
  "exact: the heap": (w) => exactly(w, () => Array.from({ length: 1e4 }, (_, i) => ({ x: [1.5, i] }))),
  "exact: WebAssembly": (w) =>
    exactly(w, () => {
      const memory = new WebAssembly.Memory({ initial: 16 });
      new Uint8Array(memory.buffer).fill(1);
      return memory;
    }),
  "exact: a worker": async (w) => {
    const text = `const a = []; setInterval(() => a.push(new Uint8Array(${MB}).fill(1)), 1); postMessage("runs");`;
    const worker = new Worker(script(text), { type: "module" });
    try {
      await new Promise((resolve, reject) => {
        worker.onmessage = resolve;
        worker.onerror = (e) => (e.preventDefault(), reject(new Error(e.message)));
      });
      while (Deno.memoryUsage().rss < w.budget + 21 * MB) await new Promise((resolve) => setTimeout(resolve, 5));
      await pause(1000);
      return Deno.memoryUsage().rss;
    } finally {
      worker.terminate();
    }
  },
  "disk: empty files": async (w) => { // each counts 4 KB, and 40 MB too many are allowed for a moment
    for (let i = 0; i < 28_000; i++) Deno.writeFileSync(fresh(w.data), new Uint8Array(0));
    await pause(3000); // other settings remove theirs meanwhile, which the file system counts against these
    return "28,000 files";
  },
  "handles: connections to the proxy": async (w) => {
    const [hostname, port] = w.net.OpenProxy.split(":");
    const conns = [];
    try {
      for (let i = 0; i < 1200; i++) {
        conns.push(w.control ? await Deno.connect({ hostname, port: Number(port) }) : await Deno.connect({ transport: "unix", path: w.proxy }));
      }
      return conns.length;
    } finally {
      for (const conn of conns) conn.close();
    }
  },
  "threads: by native code": async () => {
    const libc = Deno.dlopen("libc.so.6", {
      dlsym: { parameters: ["pointer", "buffer"], result: "pointer" },
      pthread_attr_init: { parameters: ["buffer"], result: "i32" },
      pthread_attr_setstacksize: { parameters: ["buffer", "usize"], result: "i32" },
      pthread_create: { parameters: ["buffer", "buffer", "pointer", "pointer"], result: "i32" },
    }).symbols;
    const sleep = must(libc.dlsym(null, bytes("pause")), "no pause");
    const attributes = new Uint8Array(256), id = new Uint8Array(8);
    libc.pthread_attr_init(attributes);
    libc.pthread_attr_setstacksize(attributes, 16384n);
    for (let i = 0; i < 2000; i++) must(libc.pthread_create(id, attributes, sleep, null) === 0, `thread ${i} was refused`);
    await pause(600);
    return "2,000 threads";
  },
  "sys: a heap snapshot outside": async (w) => {
    const v8 = await import("node:v8");
    return must(v8.writeHeapSnapshot(fresh(w.outside)));
  },
};

export default Object.fromEntries(Object.keys(rows).map((name) => [name, (w) => (watched = !w.control, rows[name](w))]));
