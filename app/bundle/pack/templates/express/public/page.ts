// The page's script. `paddock pack` bundles it to page.js beside this file.
const output = document.querySelector<HTMLOutputElement>("#count")!;

async function show(answer: Promise<Response>): Promise<void> {
  const { count } = await (await answer).json() as { count: number };
  output.value = String(count);
}

document.querySelector("#add")!.addEventListener("click", () => show(fetch("/api/count", { method: "POST" })));
show(fetch("/api/count"));
