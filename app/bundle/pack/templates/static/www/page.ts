// The page's script. `paddock pack` bundles it to page.js beside this file.
const output = document.querySelector<HTMLOutputElement>("#count")!;
const key = "count";

function show(): void {
  output.value = localStorage.getItem(key) ?? "0";
}

document.querySelector("#add")!.addEventListener("click", () => {
  localStorage.setItem(key, String(Number(localStorage.getItem(key) ?? "0") + 1));
  show();
});
show();
