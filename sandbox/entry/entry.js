// The host's entry module: Deno runs this file, and this file runs the app.
//
// Its order is the security boundary: listen, revoke, import.
//   1. It listens on the instance's own socket (two sockets when the app brings a node:http server).
//   2. It gives up read, write and net of those sockets and checks that they are gone. The listeners go on serving.
//   3. Only then is the app imported, by a value that exists at run time only. A module that Deno finds in the static
//      graph is loaded without any permission check, and could read every file of the user by a text import.
// Any other order would let the app replace Deno.serve or Deno.permissions before they are used.
//
// It exports nothing and holds no secret: an app may import this file and read Deno.args. What it needs after the
// import it takes from the built-in objects before, so that an app that replaces globals changes only its own world.

const config = JSON.parse(Deno.args[0]);

// ---- what is needed later, taken before the app can replace it ----

const { apply, defineProperty, ownKeys } = Reflect;
const { freeze, getOwnPropertyDescriptor } = Object;
const { parse, stringify } = JSON;
const uncurry = (method) => (self, ...args) => apply(method, self, args);
const startsWith = uncurry(String.prototype.startsWith);
const slice = uncurry(String.prototype.slice);
const indexOf = uncurry(String.prototype.indexOf);
const mapGet = uncurry(Map.prototype.get);
const mapSet = uncurry(Map.prototype.set);
const mapDelete = uncurry(Map.prototype.delete);
const mapSize = uncurry(getOwnPropertyDescriptor(Map.prototype, "size").get);
const encode = uncurry(TextEncoder.prototype.encode);
const requestURL = uncurry(getOwnPropertyDescriptor(Request.prototype, "url").get);
const requestMethod = uncurry(getOwnPropertyDescriptor(Request.prototype, "method").get);
const requestText = uncurry(Request.prototype.text);
const NewPromise = Promise, NewResponse = Response, NewMap = Map;
const NewError = Error, NewDate = Date;
const encoder = new TextEncoder();
const say = (text) => Deno.stderr.writeSync(encode(encoder, `paddock: ${text}\n`));
const { AddrInUse, NotSupported } = Deno.errors;
const { querySync, revokeSync } = Deno.permissions;
const permissions = Deno.permissions;
const exit = Deno.exit;
const stdout = Deno.stdout;
const write = uncurry(stdout.writeSync);
const logError = console.error;

// ---- the app's one server, whatever kind it is ----

let kind = ""; // "fetch", "deno" or "node" once the app has a server
let handle = null; // (request, info) => Response, for the kinds "fetch" and "deno"
let opened;
const open = new NewPromise((resolve) => opened = resolve);
const address = freeze({ transport: "tcp", hostname: "127.0.0.1", port: config.port });

// While the app has no server yet or has one, the host's listeners keep the process going; an app that has closed its
// server ends when it has nothing left to do, as it would alone. To hold on is {ref, unref} of each listener.
const holds = [];
function hold(on) {
  for (let i = 0; i < holds.length; i++) on ? holds[i].ref() : holds[i].unref();
}

function claim(as, handler) {
  if (kind !== "") throw new AddrInUse("An app under Paddock has one server, and this one already has one");
  kind = as;
  handle = handler;
  opened();
  try {
    write(stdout, encode(encoder, `\0ready ${as}\n`));
  } catch {
    // The app has closed its output: the host asks.
  }
}

// A request on a Unix socket has a URL that begins with http+unix:, which has no origin and in which no app can
// resolve a path. Every reader of the URL, clones included, gets it with the scheme the browser sees.
function visibleURL(request) {
  const url = requestURL(request);
  return startsWith(url, "http+unix:") ? "http" + slice(url, 9) : url;
}
defineProperty(Request.prototype, "url", {
  get() {
    return visibleURL(this);
  },
  enumerable: true,
  configurable: true,
});

function pathOf(url) { // "http+unix://host/path?query" → "/path?query"
  const host = indexOf(url, "//") + 2;
  const at = indexOf(url, "/", host);
  return at < 0 ? "/" : slice(url, at);
}

function answer(status, text) {
  return new NewResponse(text, { status, headers: { "content-type": "text/plain; charset=utf-8" } });
}

async function serveRequest(request, info) {
  const path = pathOf(requestURL(request));
  if (startsWith(path, "/.paddock/")) return await serveHost(path, request);
  if (kind === "") await open;
  if (handle === null) return answer(503, "This app does not answer any more.\n");
  return await handle(request, info);
}

// ---- the host's own addresses, answered before the app sees anything ----

async function serveHost(path, request) {
  switch (path) {
    case "/.paddock/ready":
      if (kind === "") await open;
      return answer(200, kind);
    case "/.paddock/host":
      switch (requestMethod(request)) {
        case "GET":
          return await giveQuestions();
        case "POST":
          return await takeAnswer(request);
      }
      return answer(405, "");
  }
  return answer(404, "");
}

// The channel: the host keeps one request waiting here, which is answered with the app's questions, a line of JSON each,
// as soon as there are some; then it sends the next. Its answers come as requests of their own. Only one may wait, and
// the app has no socket that it could wait with. Nothing of it is a stream: those cost two milliseconds of every start.
let hostWaits = null; // answers the host's waiting request
let unsent = ""; // lines for it
let lastID = 0;
const waiting = new NewMap(); // id → {resolve, reject}
const maxWaiting = 64;

async function giveQuestions() {
  if (hostWaits !== null) return answer(409, "");
  if (unsent === "") await new NewPromise((resolve) => hostWaits = resolve);
  hostWaits = null;
  const lines = unsent;
  unsent = "";
  return new NewResponse(lines, { headers: { "content-type": "application/x-ndjson" } });
}

let onSchedule = null; // the app's handler

async function takeAnswer(request) {
  const message = parse(await requestText(request));
  if (message.kind === "schedule") return await runSchedule(message.at);
  const call = mapGet(waiting, message.id);
  if (call !== undefined) {
    mapDelete(waiting, message.id);
    if (message.error) call.reject(new NewError(message.error));
    else call.resolve(message.state);
  }
  return answer(200, "");
}

// The host wakes the app at a time of its schedule and keeps it awake until this is answered, or for some minutes.
async function runSchedule(at) {
  if (onSchedule === null) return answer(404, "the app has no paddock.onSchedule handler");
  try {
    await onSchedule(freeze({ at: new NewDate(at) }));
  } catch (error) {
    logError(error);
    return answer(500, "the app's paddock.onSchedule handler failed");
  }
  return answer(200, "");
}

function send(message) {
  unsent += stringify(message) + "\n";
  if (hostWaits !== null) hostWaits();
}

function ask(what, permission) {
  return new NewPromise((resolve, reject) => {
    if (typeof permission !== "string" || permission.length > 1024) {
      reject(new TypeError('A permission is a string such as "net:api.example.com"'));
    } else if (!config.channel) {
      reject(new NewError("This Paddock answers no questions"));
    } else if (mapSize(waiting) >= maxWaiting) {
      reject(new NewError("Too many questions at once: wait for the answers first"));
    } else {
      const id = ++lastID;
      mapSet(waiting, id, { resolve, reject });
      send({ id, kind: what, permission });
    }
  });
}

for (const name of ownKeys(config.slots)) freeze(config.slots[name]);
defineProperty(globalThis, "paddock", {
  value: freeze({
    dataDir: config.data,
    slots: freeze(config.slots), // name → {path, write, folder}
    onSchedule(handler) { // called with {at} at the times of the manifest's schedule, when the user allows background
      if (typeof handler !== "function") throw new TypeError("paddock.onSchedule needs a function");
      onSchedule = handler;
    },
    permissions: freeze({
      query: (permission) => ask("permissions.query", permission), // resolves to "granted", "denied" or "prompt"
      request: (permission) => ask("permissions.request", permission), // the same, after the user was asked
    }),
  }),
  enumerable: true,
});

// ---- 1. listen ----

holds[0] = Deno.serve({
  path: config.socket,
  onListen() {},
  onError(error) {
    logError(error);
    return answer(500, "This app failed to answer.\n");
  },
}, serveRequest);

// The host waits for this word: no app has run yet that could say it, and nothing needs to be tried again and again.
write(stdout, encode(encoder, "\0listening\n"));

if (config.nodeSocket !== "") await listenForNode();

// ---- 2. revoke ----

for (const path of [config.socket, config.nodeSocket]) {
  if (path === "") continue;
  for (const right of [{ name: "write", path }, { name: "read", path }, { name: "net", host: "unix:" + path }]) {
    apply(revokeSync, permissions, [right]);
    // Revoking answers "granted", without an error, when a wider grant still covers the path: look again.
    if (apply(querySync, permissions, [right]).state === "granted") {
      say(`the right ${right.name} to the app's own socket cannot be given up; the app is not started`);
      exit(70);
    }
  }
}

// ---- what the app finds instead ----

Deno.serve = function serve(...args) {
  const options = typeof args[0] === "object" && args[0] !== null ? args[0] : {};
  const handler = typeof args[0] === "function" ? args[0] : typeof args[1] === "function" ? args[1] : options.handler;
  if (typeof handler !== "function") throw new TypeError("Deno.serve needs a handler");
  const { onError, onListen, signal } = options;
  let finish;
  const finished = new NewPromise((resolve) => finish = resolve);
  const shutdown = () => {
    handle = null;
    hold(false);
    finish();
    return finished;
  };
  claim("deno", async (request, info) => {
    const seen = { remoteAddr: address, completed: info.completed };
    if (typeof onError !== "function") return await handler(request, seen);
    try {
      return await handler(request, seen);
    } catch (error) {
      return await onError(error);
    }
  });
  if (signal) {
    if (signal.aborted) shutdown();
    else signal.addEventListener("abort", shutdown, { once: true });
  }
  if (typeof onListen === "function") onListen(address);
  return { finished, addr: address, shutdown, ref() {}, unref() {}, [Symbol.asyncDispose]: shutdown };
};

// Facts about the machine that libraries read while loading get a neutral answer instead of an exception, unless the
// user granted the true one.
neutralize(Deno, {
  hostname: "localhost",
  loadavg: [0, 0, 0],
  networkInterfaces: [],
  osRelease: "",
  osUptime: 0,
  uid: null,
  gid: null,
});
if (config.nodeOS) {
  const cpu = { model: "", speed: 0, times: { user: 0, nice: 0, sys: 0, idle: 0, irq: 0 } };
  const os = (await import("node:os")).default;
  neutralize(os, {
    hostname: "localhost",
    loadavg: [0, 0, 0],
    networkInterfaces: {},
    cpus: new Array(navigator.hardwareConcurrency).fill(cpu),
    homedir: config.data,
    userInfo: { username: "app", uid: -1, gid: -1, shell: null, homedir: config.data },
    release: "",
    version: "",
    machine: "",
    uptime: 0,
    totalmem: config.memory,
    freemem: config.memory,
    tmpdir: config.data,
    getPriority: 0,
  });
}

function neutralize(target, facts) {
  // Deno's names of the rights, where node:os calls the fact something else.
  const rights = {
    release: "osRelease",
    version: "osRelease",
    machine: "osRelease",
    uptime: "osUptime",
    totalmem: "systemMemoryInfo",
    freemem: "systemMemoryInfo",
    tmpdir: "",
  };
  for (const name of ownKeys(facts)) {
    if (config.sys.includes(rights[name] ?? name)) continue;
    const value = facts[name];
    defineProperty(target, name, { value: () => value, writable: true, enumerable: true, configurable: true });
  }
}

// ---- the way out ----

// Deno's own connections would look a name up, which an app cannot, and end in an error that tells nobody why.
if (config.proxy !== "") {
  for (const name of ["connect", "connectTls"]) {
    const original = Deno[name];
    defineProperty(Deno, name, {
      value: async function (...args) {
        const { transport, path, hostname = "127.0.0.1", port } = args[0] ?? {};
        if ((transport ?? "tcp") === "tcp" && path === undefined) {
          const right = { name: "net", host: `${hostname}:${port}` };
          if (apply(querySync, permissions, [right]).state !== "granted") return await apply(original, Deno, args);
          throw new NotSupported(`Deno.${name}: a plain TCP or TLS connection (to ${hostname}:${port}) is not available to ` +
            "apps under Paddock: HTTP/1.1 and WebSocket are (fetch, WebSocket, node:http and node:https)");
        }
        return await apply(original, Deno, args);
      },
      writable: true,
      enumerable: true,
      configurable: true,
    });
  }
  if (config.nodeClient) (await import("./outgoing.js")).lead(config.proxy);
}

// ---- 3. import, by a run-time value ----

const module = await import(config.app);
if (kind === "") {
  const exported = typeof module.default?.fetch === "function" ? module.default : module;
  if (typeof exported.fetch === "function") {
    const seen = (info) => ({ remoteAddr: address, completed: info.completed });
    claim("fetch", (request, info) => exported.fetch(request, seen(info)));
  } else {
    say("the app has loaded but has no server yet: export default { fetch }, call Deno.serve, or listen with node:http");
  }
}

// ---- node:http ----

// listenForNode listens with a server of its own and returns nothing to the app but changed methods: the app's server
// gets the events of this one when it "listens". It runs before the sockets are revoked.
async function listenForNode() {
  const http = (await import("node:http")).default;
  const front = http.createServer();
  await new Promise((resolve, reject) => {
    front.once("error", reject);
    front.listen(config.nodeSocket, resolve);
  });
  // The host in front of this server decides how long a connection lasts.
  front.keepAliveTimeout = 0;
  front.requestTimeout = 0;
  front.headersTimeout = 0;
  const { ref, unref, closeIdleConnections } = front;
  holds[1] = {
    ref: () => apply(ref, front, []),
    unref() {
      apply(unref, front, []);
      apply(closeIdleConnections, front, []);
    },
  };

  // Not "connection": the app's server would start a second parser on the same socket.
  const forwarded = ["request", "upgrade", "connect", "checkContinue", "checkExpectation"];
  const { listenerCount, emit } = http.Server.prototype;
  let attached = null; // the app's server

  http.Server.prototype.listen = function listen(...args) {
    const server = this;
    const callback = args.find((arg) => typeof arg === "function");
    if (attached !== null || (kind !== "" && kind !== "node")) {
      const error = new Error("listen EADDRINUSE: an app under Paddock has one server");
      error.code = "EADDRINUSE";
      queueMicrotask(() => server.emit("error", error));
      return server;
    }
    attached = server;
    hold(true);
    const port = Number(typeof args[0] === "object" && args[0] !== null ? args[0].port : args[0]) || config.port;
    const links = new Map();
    const link = (event) => {
      if (links.has(event) || !forwarded.includes(event)) return;
      const pass = (...values) => apply(emit, server, [event, ...values]);
      links.set(event, pass);
      front.on(event, pass);
    };
    // Having a listener changes what a server does (an upgrade nobody listens to is an ordinary request), so only the
    // events the app listens to are linked, now and later.
    link("request");
    for (const event of forwarded) if (apply(listenerCount, server, [event]) > 0) link(event);
    server.on("newListener", link);

    let listening = true;
    const own = (name, descriptor) => defineProperty(server, name, { configurable: true, ...descriptor });
    own("listening", { get: () => listening });
    own("address", { value: () => listening ? { address: "127.0.0.1", family: "IPv4", port } : null, writable: true });
    own("getConnections", { value: (done) => queueMicrotask(() => done(null, 0)), writable: true });
    own("ref", { value: () => server, writable: true });
    own("unref", { value: () => server, writable: true });
    own("close", {
      value: (done) => {
        if (listening) {
          listening = false;
          attached = null;
          hold(false);
          for (const [event, pass] of links) front.off(event, pass);
          server.off("newListener", link);
          queueMicrotask(() => server.emit("close"));
        }
        if (typeof done === "function") queueMicrotask(() => done());
        return server;
      },
      writable: true,
    });
    if (kind === "") claim("node", null);
    if (callback) server.once("listening", callback);
    queueMicrotask(() => server.emit("listening"));
    return server;
  };
}
