// An ordinary Express server. Paddock gives its requests to whatever server calls listen: the port does not
// matter. The working folder is the app's data folder, the only one it may write to.
import { readFile, writeFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import express from "express";

const app = express();
const name = "count.json";

async function readCount(): Promise<number> {
  try {
    return JSON.parse(await readFile(name, "utf8")).count;
  } catch (error) {
    if ((error as { code?: string }).code === "ENOENT") return 0;
    throw error;
  }
}

app.get("/api/count", async (_request, response) => {
  response.json({ count: await readCount() });
});

app.post("/api/count", async (_request, response) => {
  const count = await readCount() + 1;
  await writeFile(name, JSON.stringify({ count }));
  response.json({ count });
});

app.use(express.static(fileURLToPath(new URL("./public/", import.meta.url))));
app.listen(8080);
