// The published ways out of in-process sandboxes, above all vm2's: they get hold of a function or an object of the world
// outside. Here there is no inside: each technique does get its object, and the object reaches nothing. A row has
// succeeded when what it got has read the secret.
import asyncHooks from "node:async_hooks";
import vm from "node:vm";
import { leak, must, posted, script } from "./kit.js";

const reads = (w, get) => leak(get(`return Deno.readTextFileSync(${JSON.stringify(w.secret)})`));
const byNode = (w, process) => leak(process.getBuiltinModule("node:fs").readFileSync(w.secret, "utf8"));

export default {
  "escape: constructor of a constructor": (w) => reads(w, (text) => ({}).constructor.constructor(text)()),
  "escape: prototype chains": (w) => {
    let top = Deno.permissions;
    for (let above = top; above; above = Object.getPrototypeOf(above)) top = above;
    const getter = top.__lookupGetter__("__proto__");
    return reads(w, (text) => getter.constructor(text)());
  },
  "escape: a custom inspection": async (w) => {
    let reached;
    const { inspect } = await import("node:util");
    inspect({ [Symbol.for("nodejs.util.inspect.custom")]: (_depth, _options, how) => (reached = how.constructor, "") });
    return reads(w, (text) => reached(text)());
  },
  "escape: eval in the global scope": (w) => leak((0, eval)(`Deno.readTextFileSync(${JSON.stringify(w.secret)})`)),
  "escape: generator and async constructors": async (w) => {
    const AsyncFunction = (async () => {}).constructor;
    return leak(await new AsyncFunction(`return await Deno.readTextFile(${JSON.stringify(w.secret)})`)());
  },
  "escape: Error.prepareStackTrace": (w) => {
    const before = Error.prepareStackTrace;
    let reached;
    Error.prepareStackTrace = (_e, frames) => frames.map((f) => reached ??= f.getThis?.() ?? f.getFunction?.());
    try {
      void new Error("x").stack;
      throw null;
    } catch {
      const Function = (reached ?? (() => {})).constructor;
      return reads(w, (text) => (Function.name === "Function" ? Function : Function.constructor)(text)());
    } finally {
      Error.prepareStackTrace = before;
    }
  },
  "escape: an error of the host": (w) => {
    let error;
    try {
      new vm.Script("(");
    } catch (e) {
      error = e;
    }
    return reads(w, (text) => error.constructor.constructor(text)());
  },
  "escape: a stack overflow in the host": (w) => {
    let error;
    const deep = () => {
      try {
        deep();
      } catch (e) {
        error ??= e;
        throw e;
      }
    };
    try {
      deep();
    } catch { /* kept in error */ }
    return reads(w, (text) => error.constructor.constructor(text)());
  },
  "escape: proxies": (w) => {
    let reached;
    const trap = new Proxy({}, {
      get: (_t, _k, receiver) => (reached = receiver.constructor, undefined),
      getPrototypeOf: () => (reached = Function, Function.prototype),
      ownKeys: () => [],
    });
    void (trap instanceof Function);
    return reads(w, (text) => reached(text)());
  },
  "escape: Symbol.species of a promise": async (w) => {
    class Own extends Promise {
      static get [Symbol.species]() {
        return function (run) {
          run(() => {}, () => {});
        };
      }
    }
    const Function = await Deno.stat("/nowhere").catch((e) => e.constructor.constructor);
    new Own(() => {}).then(() => {});
    return reads(w, (text) => Function(text)());
  },
  "escape: a thenable in an async generator": async (w) => {
    let reached;
    async function* outer() {
      yield* {
        [Symbol.asyncIterator]: () => ({
          next: () => ({ value: 1, done: false }),
          return: () => ({
            then: (done) => {
              reached = done.constructor;
              done({ done: true });
            },
          }),
        }),
      };
    }
    const generator = outer();
    await generator.next();
    await generator.return();
    return reads(w, (text) => reached(text)());
  },
  "escape: async hooks": async (w) => {
    let reached;
    const hook = asyncHooks.createHook({ init: (_i, _t, _p, resource) => reached ??= resource }).enable();
    await Promise.resolve();
    setTimeout(() => {}, 0);
    hook.disable();
    const storage = new asyncHooks.AsyncLocalStorage();
    const Function = storage.run(1, () => (reached ?? storage).constructor.constructor);
    return reads(w, (text) => Function(text)());
  },
  "escape: a finalizer": (w) => reads(w, (text) => new FinalizationRegistry(() => {}).register.constructor(text)()),
  "escape: node:vm, a new context": (w) => {
    const process = vm.runInNewContext("host.constructor.constructor('return process')()", { host: () => {} });
    return byNode(w, process);
  },
  "escape: node:vm, this context": (w) => byNode(w, vm.runInThisContext("process")),
  "escape: node:vm, a function": (w) => reads(w, (text) => vm.compileFunction(text)()),
  "escape: node:vm, an import": async (w) => {
    const run = vm.runInThisContext("(s, o) => import(s, o)", { importModuleDynamically: vm.constants?.USE_MAIN_CONTEXT_DEFAULT_LOADER });
    return leak((await run("file://" + w.secret, { with: { type: "text" } })).default);
  },
  "escape: process.mainModule and _load": async (w) => {
    const { default: Module } = await import("node:module");
    return leak(Module._load("node:fs", null, false).readFileSync(w.secret, "utf8"));
  },
  "escape: a require of the app's own making": async (w) => {
    const { default: Module } = await import("node:module");
    const module = new Module(w.app + "/x.js");
    module._compile(`module.exports = require("node:fs").readFileSync(${JSON.stringify(w.secret)}, "utf8")`, w.app + "/x.js");
    return leak(module.exports);
  },
  "escape: process.binding": (w) => {
    const binding = process.binding("constants");
    return reads(w, (text) => binding.constructor.constructor(text)());
  },
  "escape: Deno's own core": (w) => {
    const { core } = Deno[Deno.internal];
    return reads(w, (text) => core.evalContext(`(() => { ${text} })()`, "file:///x.js")[0]);
  },
  "escape: a replaced permission check": (w) => {
    const { querySync, requestSync } = Deno.permissions;
    Deno.permissions.querySync = Deno.permissions.requestSync = () => ({ state: "granted" });
    try {
      return leak(Deno.readTextFileSync(w.secret));
    } finally {
      Object.assign(Deno.permissions, { querySync, requestSync });
    }
  },
  "escape: ask for more": async (w) => {
    const status = await Deno.permissions.request({ name: "read", path: w.secret });
    must(status.state === "granted", status.state);
    return leak(Deno.readTextFileSync(w.secret));
  },
  "escape: ask in a worker": async (w) => {
    const text = `Deno.permissions.request({ name: "read" }).then((s) => postMessage(s.state))`;
    return must((await posted(new Worker(script(text), { type: "module" }))) === "granted");
  },
  "escape: answer the question oneself": async (w) => {
    globalThis.prompt = globalThis.confirm = () => "A";
    const status = Deno.permissions.requestSync({ name: "run" });
    return must(status.state === "granted", status.state);
  },
  "escape: a fresh global": async (w) => {
    const { Worker } = await import("node:worker_threads");
    const worker = new Worker(
      `require("node:worker_threads").parentPort.postMessage(globalThis.Deno ? Deno.readTextFileSync(${JSON.stringify(w.secret)}) : "")`,
      { eval: true },
    );
    try {
      return leak(await new Promise((resolve, reject) => worker.on("message", resolve).on("error", reject)));
    } finally {
      await worker.terminate();
    }
  },
  "escape: WebAssembly imports": (w) => {
    // (import "m" "f" (func)) (start 0)
    const module = new WebAssembly.Module(
      new Uint8Array([0, 97, 115, 109, 1, 0, 0, 0, 1, 4, 1, 96, 0, 0, 2, 7, 1, 1, 109, 1, 102, 0, 0, 8, 1, 0]),
    );
    let text;
    new WebAssembly.Instance(module, { m: { f: () => text = Deno.readTextFileSync(w.secret) } });
    return leak(text);
  },
  "escape: V8 flags at run time": async (w) => {
    const v8 = await import("node:v8");
    v8.setFlagsFromString("--allow-natives-syntax");
    v8.setFlagsFromString("--expose-gc");
    return leak(new Function(`return Deno.readTextFileSync(${JSON.stringify(w.secret)})`)());
  },
  "escape: a structured clone of a handle": async (w) => {
    using file = Deno.openSync(w.secret);
    return leak(await new Response(file.readable).text());
  },
};
