import { createServer } from "node:http";
import { WebSocketServer } from "ws";

const counts = { open: 0, gone: 0, codes: [] };
const server = createServer((req, res) => {
  if (req.url === "/counts") return res.end(JSON.stringify(counts));
  res.end("ws says hello");
});

const sockets = new WebSocketServer({
  server,
  path: "/socket",
  perMessageDeflate: { threshold: 64 },
  handleProtocols: (offered) => offered.has("chat.v2") ? "chat.v2" : false,
});
sockets.on("connection", (socket, req) => {
  counts.open++;
  socket.send(JSON.stringify({ protocol: socket.protocol, origin: req.headers.origin, cookie: req.headers.cookie ?? "" }));
  socket.on("message", (data, isBinary) => socket.send(data, { binary: isBinary }));
  socket.on("close", (code) => {
    counts.gone++;
    counts.codes.push(code);
  });
  socket.on("error", console.error);
});

server.listen(8080);
