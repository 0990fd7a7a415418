import { createServer } from "node:http";
import { Server } from "socket.io";

const server = createServer((req, res) => res.end("socket.io says hello"));
const io = new Server(server, { serveClient: false });

io.on("connection", (socket) => {
  socket.on("echo", (value, done) => done(value));
  socket.on("shout", (text) => io.emit("heard", String(text).toUpperCase()));
});

server.listen(process.env.PORT || 3000);

export default io;
