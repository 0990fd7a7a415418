/** Marks files being written; what carries it after a crash is removed by `sweep`. */
const TEMPORARY = ".writing-";

/**
 * Replaces a file's content so that a crash at any moment leaves either the old content or the new one:
 * the text goes to another file, reaches the disk, and then takes the name over.
 */
export async function writeWhole(dir: string, name: string, text: string): Promise<void> {
  const temporary = `${dir}/${TEMPORARY}${crypto.randomUUID()}`;
  try {
    using file = await Deno.open(temporary, { write: true, createNew: true });
    const bytes = new TextEncoder().encode(text);
    for (let sent = 0; sent < bytes.length;) sent += await file.write(bytes.subarray(sent));
    await file.sync();
    await Deno.rename(temporary, `${dir}/${name}`);
  } catch (error) {
    await Deno.remove(temporary).catch(() => {}); // it may never have existed
    throw error;
  }
}

/** Removes what a crash left half written. */
export async function sweep(dir: string): Promise<void> {
  for await (const entry of Deno.readDir(dir)) {
    if (entry.isFile && entry.name.startsWith(TEMPORARY)) await Deno.remove(`${dir}/${entry.name}`);
  }
}

/** Says in words a person can act on why a file could not be written. */
export function explain(error: unknown): string {
  const code = (error as { code?: string } | null)?.code;
  if (code === "ENOSPC" || code === "EDQUOT" || code === "EFBIG") {
    return "There is no room left for this app's files. Delete something, or give the app more disk space in Paddock.";
  }
  return `The file could not be written: ${error instanceof Error ? error.message : String(error)}`;
}
