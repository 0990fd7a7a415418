"use strict";

const crypto = require("crypto");
const fs = require("fs");
const path = require("path");
const compression = require("compression");
const cookieParser = require("cookie-parser");
const express = require("express");
const multer = require("multer");

const app = express();
const upload = multer({ dest: "uploads/" });
app.use(compression());
app.use(cookieParser());
app.use("/files", express.static(path.join(__dirname, "files")));

app.get("/", (req, res) => res.send("express says hello"));
app.post("/json", express.json(), (req, res) => res.json({ received: req.body }));
app.get("/landed", (req, res) => res.send("landed"));
app.get("/redirect", (req, res) => res.redirect("/landed"));
app.get("/redirect/absolute", (req, res) => res.redirect(`${req.protocol}://${req.get("host")}/landed`));
app.get("/large", (req, res) => res.type("text").send("all work and no play\n".repeat(10_000)));
app.get("/login", (req, res) => {
  res.cookie("who", "anna", { httpOnly: true, sameSite: "lax" });
  res.cookie("theme", "dark", { maxAge: 86_400_000 });
  res.send("welcome");
});
app.get("/whoami", (req, res) => res.json(req.cookies));
app.get("/fail", async () => {
  throw new Error("on purpose");
});

let release = () => {};
const released = () => new Promise((resolve) => (release = resolve));
app.post("/release", (req, res) => {
  release();
  res.sendStatus(204);
});
app.get("/stream", async (req, res) => {
  res.type("text");
  res.write("first\n");
  await released();
  res.end("second\n");
});

const counts = { waiting: 0, gone: 0 };
app.get("/counts", (req, res) => res.json(counts));
app.get("/hang", (req, res) => {
  counts.waiting++;
  if (req.query.begin) res.write("begun\n");
  req.on("close", () => counts.gone++);
});

app.post("/upload", upload.single("file"), async (req, res) => {
  const hash = crypto.createHash("sha256");
  for await (const chunk of fs.createReadStream(req.file.path)) hash.update(chunk);
  fs.unlinkSync(req.file.path);
  res.json({ name: req.file.originalname, note: req.body.note, size: req.file.size, sha256: hash.digest("hex") });
});

const port = process.env.PORT || 3000;
const server = app.listen(port, () => console.log(`listening on ${server.address().port}`));
process.on("SIGTERM", () => server.close());
