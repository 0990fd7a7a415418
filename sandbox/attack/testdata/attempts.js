// The server of the apps that make the attempts: one row per request, so that the test knows which row a process died of.

// An error that nobody waits for would end the process, and the rows after it.
addEventListener("unhandledrejection", (e) => e.preventDefault());
addEventListener("error", (e) => e.preventDefault());

const { stringify } = JSON;
const NewResponse = Response;

async function attempt(rows, { row, world, patience }) {
  if (row === "") return { ok: true }; // a sign of life
  if (!Object.hasOwn(rows, row)) return { unknown: true };
  let timer;
  const late = new Promise((_, reject) => timer = setTimeout(() => reject(new Error("still waiting")), patience));
  try {
    const value = await Promise.race([rows[row](world), late]);
    return { ok: true, detail: String(value).slice(0, 200) };
  } catch (error) {
    return { ok: false, detail: (error?.cause ? `${error}: ${error.cause}` : String(error)).slice(0, 300) };
  } finally {
    clearTimeout(timer);
  }
}

export const serve = (rows) => ({
  async fetch(request) {
    return new NewResponse(stringify(await attempt(rows, await request.json())));
  },
});
