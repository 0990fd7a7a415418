// What the app remembers, in one small file of its data folder.
const name = "count.json";

export async function readCount(): Promise<number> {
  try {
    return JSON.parse(await Deno.readTextFile(name)).count;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return 0;
    throw error;
  }
}

export async function writeCount(count: number): Promise<void> {
  await Deno.writeTextFile(name, JSON.stringify({ count }));
}
