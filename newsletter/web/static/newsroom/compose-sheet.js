// The sheet below the text: numbers its lines and marks those that something was found in.

const field = document.getElementById("text");
const lines = document.querySelector(".sheet-lines");

if (field && lines) {
  field.closest(".sheet").classList.add("is-live");
  field.addEventListener("input", draw);
}

// The sheet wraps its lines exactly as the field above it does, and gives the field its height.
function draw() {
  const texts = field.value.split("\n");
  while (lines.children.length > texts.length) lines.lastChild.remove();
  texts.forEach((text, index) => {
    let line = lines.children[index];
    if (!line) {
      line = document.createElement("div");
      line.dataset.number = index + 1;
      lines.append(line);
    }
    const shown = text || "\u200b";
    if (line.textContent !== shown) line.textContent = shown;
  });
}

export function markLines() {
  if (!field || !lines) return;
  draw();
  for (const marked of lines.querySelectorAll("[data-found]")) marked.removeAttribute("data-found");
  // The worst of a line is the first of the list, so it is set last.
  for (const found of [...document.querySelectorAll("#findings [data-line]")].reverse()) {
    lines.children[Number(found.dataset.line) - 1]?.setAttribute("data-found", found.dataset.severity);
  }
}
