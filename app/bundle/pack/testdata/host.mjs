// A stand-in for the host's entry module: runs a packed app as each of the three kinds of server, asks it
// once for every path on its command line, and prints the answers as JSON lines.
const [app, api, ...paths] = Deno.args;
let ask;
if (api === "fetch") {
  const module = await import(app);
  const target = module.default?.fetch ? module.default : module;
  ask = (request) => target.fetch(request);
} else if (api === "deno") {
  let handler;
  Deno.serve = (...args) => {
    handler = args.find((a) => typeof a === "function") ?? args[0].handler ?? args[0].fetch;
    return { finished: new Promise(() => {}), shutdown() {} };
  };
  await import(app);
  ask = (request) => handler(request);
} else {
  const { default: http } = await import("node:http");
  const listening = Promise.withResolvers();
  http.Server.prototype.listen = function (...args) {
    listening.resolve(this);
    args.find((a) => typeof a === "function")?.call(this);
    return this;
  };
  await import(app);
  const server = await listening.promise;
  const { Readable, Writable } = await import("node:stream");
  ask = (request) =>
    new Promise((resolve) => {
      // Enough of a connection for a server to answer one request.
      const socket = new Writable({ write(_chunk, _encoding, done) { done(); } });
      const incoming = Object.setPrototypeOf(Readable.from([]), http.IncomingMessage.prototype);
      const url = new URL(request.url);
      Object.assign(incoming, { method: request.method, url: url.pathname, httpVersion: "1.1", httpVersionMajor: 1, httpVersionMinor: 1 });
      Object.defineProperty(incoming, "headers", { value: { host: url.host } });
      Object.defineProperty(incoming, "socket", { value: socket });
      const outgoing = new http.ServerResponse(incoming);
      const chunks = [];
      outgoing.write = (chunk) => (chunk && chunks.push(typeof chunk === "string" ? new TextEncoder().encode(chunk) : chunk), true);
      outgoing.end = (chunk) => {
        if (chunk && typeof chunk !== "function") outgoing.write(chunk);
        resolve(new Response(new Blob(chunks), { status: outgoing.statusCode, headers: Object.entries(outgoing.getHeaders()).map(([k, v]) => [k, String(v)]) }));
      };
      server.emit("request", incoming, outgoing);
    });
}
for (const path of paths) {
  const [method, where] = path.includes(" ") ? path.split(" ") : ["GET", path];
  try {
    const response = await ask(new Request("http://app.localhost" + where, { method }));
    console.log(JSON.stringify({ status: response.status, type: response.headers.get("content-type"), body: await response.text() }));
  } catch (error) {
    console.log(JSON.stringify({ error: error.stack }));
  }
}
Deno.exit(0);
