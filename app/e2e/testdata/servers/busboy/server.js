const { createHash } = require("crypto");
const http = require("http");
const busboy = require("busboy");

http.createServer((req, res) => {
  if (req.method !== "POST") return res.end("busboy says hello");
  const seen = { fields: {}, files: [] };
  const form = busboy({ headers: req.headers, limits: { fileSize: 64 * 1024 * 1024 } });
  form.on("field", (name, value) => seen.fields[name] = value);
  form.on("file", (name, file, info) => {
    const hash = createHash("sha256");
    let size = 0;
    file.on("data", (chunk) => {
      size += chunk.length;
      hash.update(chunk);
    });
    file.on("close", () => seen.files.push({ name: info.filename, type: info.mimeType, size, sha256: hash.digest("hex") }));
  });
  form.on("close", () => {
    res.writeHead(200, { "Content-Type": "application/json" });
    res.end(JSON.stringify(seen));
  });
  form.on("error", (error) => res.writeHead(400).end(error.message));
  req.pipe(form);
}).listen(8000);
