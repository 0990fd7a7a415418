// Leads the clients of Node's modules through the host's proxy: node:http, node:https, and the packages that connect
// with node:net or node:tls themselves, such as undici and ws. The proxy takes whole addresses (GET https://site/path)
// over a Unix socket and does the TLS itself, so that it sees what is asked of whom; Node's clients connect to a host
// and a port, and say only a path. So each connection goes to the proxy instead, and the first line of what is written
// gets the address that the connection was for. TLS is left to the proxy. A connection carries one request: the proxy
// closes it after the answer, and every client takes that for the server's wish.
//
// None of this is a wall. It opens nothing: an app may write to its proxy itself, and the proxy decides. What is not
// HTTP cannot be passed on and fails at once, with an error that says so.
import { Buffer } from "node:buffer";
import dgram from "node:dgram";
import http2 from "node:http2";
import https from "node:https";
import net from "node:net";
import process from "node:process";
import tls from "node:tls";

const { apply, defineProperty } = Reflect;
const firstLineBytes = 16 << 10; // a longer one is none
const silence = 2000; // milliseconds after which who is connected and says nothing waits for the other side to begin

function missing(what, code = "ENOTSUP") {
  const error = new Error(`${what} is not available to apps under Paddock: HTTP/1.1 and WebSocket are (fetch, WebSocket, ` +
    "node:http, node:https and packages that build on them)");
  error.code = code;
  return error;
}

const rawTCP = (host, port) => missing(`a plain TCP connection (to ${host}:${port})`);

// lead makes Node's modules use the proxy at the given path.
export function lead(proxy) {
  const { Socket } = net;
  const { connect: connectSocket, _writeGeneric: writeSocket } = Socket.prototype;
  const targets = new WeakMap(); // socket → what it is connected to, as it was asked for
  const { querySync } = Deno.permissions;

  const granted = (host, port) => {
    try {
      return apply(querySync, Deno.permissions, [{ name: "net", host: `${host.includes(":") ? `[${host}]` : host}:${port}` }]).state === "granted";
    } catch {
      return false; // no host at all
    }
  };
  const fail = (socket, error) => {
    process.nextTick(() => socket.destroy(error));
    return socket;
  };

  Socket.prototype.connect = function connect(...args) {
    const [options, done] = Array.isArray(args[0]) ? args[0] : net._normalizeArgs(args);
    if (options.path || options.port === undefined) return apply(connectSocket, this, args); // by path, or a mistake
    const host = String(options.host ?? "localhost").replace(/^\[|\]$/g, "");
    const port = Number(options.port);
    if (!granted(host, port)) {
      return fail(this, new Deno.errors.NotCapable(`Requires net access to "${host}:${port}": the app was not granted net:${host}:${port}`));
    }
    // A TLSSocket that came here would shake hands with the proxy, which speaks for the site and not as the site.
    if (this instanceof tls.TLSSocket && !targets.has(this)) return fail(this, missing("TLS of the app's own"));
    const scheme = targets.get(this)?.scheme ?? "http";
    const name = host.includes(":") ? `[${host}]` : host;
    targets.set(this, { scheme, host, port, prefix: `${scheme}://${name}:${port}`, head: null, begun: false });
    this._writeGeneric = writeFirstLine;
    this.once("connect", expectWords);
    apply(connectSocket, this, done ? [{ path: proxy }, done] : [{ path: proxy }]);
    return this;
  };

  // expectWords ends a connection on which the app waits to be spoken to: nobody will.
  function expectWords() {
    const target = targets.get(this);
    const timer = setTimeout(() => target.begun || target.head || this.destroy(rawTCP(target.host, target.port)), silence);
    Deno.unrefTimer(Number(timer));
    this.once("close", () => clearTimeout(timer));
  }

  // writeFirstLine takes the place of one socket's _writeGeneric until the first line has gone out.
  function writeFirstLine(several, data, encoding, done) {
    const target = targets.get(this);
    const chunks = several ? data.map((d) => bytesOf(d.chunk ?? d, d.encoding ?? encoding)) : [bytesOf(data, encoding)];
    const head = Buffer.concat(target.head ? [target.head, ...chunks] : chunks);
    const end = head.indexOf("\r\n");
    const line = head.subarray(0, end < 0 ? undefined : end).toString("latin1");
    if (!/^[!#$%&'*+.^_`|~0-9A-Za-z-]{1,32}( |$)/.test(line) || end < 0 && head.length > firstLineBytes) {
      return done(rawTCP(target.host, target.port));
    }
    if (end < 0) {
      target.head = head;
      return done();
    }
    const [, method, asked, version] = /^(\S+) (\S+) (HTTP\/1\.1)$/.exec(line) ?? [];
    if (!version || method === "CONNECT") {
      return done(method === "CONNECT" ? missing("a tunnel (CONNECT)") : rawTCP(target.host, target.port));
    }
    target.begun = true;
    delete this._writeGeneric;
    const address = asked.startsWith("/") ? target.prefix + asked : asked; // whole addresses are left to the proxy
    const first = Buffer.from(`${method} ${address} ${version}`, "latin1");
    return apply(writeSocket, this, [false, Buffer.concat([first, head.subarray(end)]), "buffer", done]);
  }

  const bytesOf = (chunk, encoding) =>
    typeof chunk === "string"
      ? Buffer.from(chunk, Buffer.isEncoding(encoding) ? encoding : "utf8")
      : Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength);

  // ---- TLS, which the proxy does ----

  const connectTLS = tls.connect;
  function secure(...args) {
    const [options, done] = net._normalizeArgs(args);
    const more = args.find((arg, i) => i > 0 && typeof arg === "object" && arg !== null);
    const o = more ? { ...options, ...more } : options;
    if (o.path && o.port === undefined) return connectTLS.call(tls, ...args);
    const socket = new Socket({ allowHalfOpen: o.allowHalfOpen });
    if (typeof done === "function") socket.once("secureConnect", done);
    if (o.socket) return fail(socket, missing("TLS over a connection that is there already"));
    if (o.cert || o.key || o.pfx) return fail(socket, missing("a client certificate"));
    const protocols = [o.ALPNProtocols ?? []].flat().map(String);
    if (protocols.length > 0 && !protocols.some((p) => p.includes("http/1.1"))) return fail(socket, missing("HTTP/2"));
    // What a TLSSocket tells. The proxy has checked the certificate, or the request fails.
    const facts = {
      encrypted: true, authorized: true, authorizationError: null, servername: o.servername ?? o.host,
      alpnProtocol: protocols.length > 0 ? "http/1.1" : false,
      getPeerCertificate: () => ({}), getPeerX509Certificate: () => undefined, getCertificate: () => ({}),
      getCipher: () => ({ name: "", standardName: "", version: "" }), getProtocol: () => null, getSession: () => undefined,
      isSessionReused: () => false, setServername() {}, setMaxSendFragment: () => true, disableRenegotiation() {},
    };
    for (const name of Object.keys(facts)) defineProperty(socket, name, { value: facts[name], writable: true, configurable: true });
    targets.set(socket, { scheme: "https" });
    socket.once("connect", () => {
      socket.emit("secure");
      socket.emit("secureConnect");
    });
    return socket.connect({ host: o.host, port: o.port });
  }
  tls.connect = secure;
  https.Agent.prototype.createConnection = function createConnection(...args) {
    return secure(...args);
  };

  // ---- what cannot be ----

  const datagrams = dgram.Socket.prototype;
  for (const name of ["bind", "connect", "send"]) {
    datagrams[name] = function (...args) {
      const done = args.findLast((arg) => typeof arg === "function");
      const error = missing("UDP");
      process.nextTick(() => name === "bind" || !done ? this.emit("error", error) : done(error));
      return name === "bind" ? this : undefined;
    };
  }

  http2.connect = (authority, options, listener) => {
    const session = new net.Socket();
    const done = typeof options === "function" ? options : listener;
    if (typeof done === "function") session.once("connect", done);
    session.request = () => {
      throw missing("HTTP/2");
    };
    return fail(session, missing("HTTP/2"));
  };
}
