// Stories are moved with Alt and the arrow keys, or by dragging; both press what a button would.

export function moveByKeys() {
  document.addEventListener("keydown", (event) => {
    if (!event.altKey || (event.key !== "ArrowUp" && event.key !== "ArrowDown")) return;
    const card = event.target.closest?.(".card");
    if (!card) return;
    event.preventDefault();
    const way = event.key === "ArrowUp" ? "up" : "down";
    card.querySelector(`button[value="story-${way}"]:not(:disabled)`)?.click();
  });
}

export function moveByDragging(act) {
  let dragged = null;

  document.addEventListener("dragstart", (event) => {
    dragged = event.target.closest?.(".card-grip")?.closest(".card") ?? null;
    if (!dragged) return;
    event.dataTransfer.effectAllowed = "move";
    event.dataTransfer.setData("text/plain", dragged.dataset.key);
    event.dataTransfer.setDragImage(dragged, 12, 12);
    dragged.classList.add("is-dragged");
  });

  document.addEventListener("dragover", (event) => {
    const target = dragged && targetOf(event);
    if (!target) return;
    event.preventDefault();
    show(target);
  });

  document.addEventListener("drop", (event) => {
    const target = dragged && targetOf(event);
    if (!target) return;
    event.preventDefault();
    const { section, place } = spotOf(target, dragged);
    const form = dragged.querySelector(".card-moves");
    act(form, { do: "story-to", section, place });
  });

  document.addEventListener("dragend", () => {
    dragged?.classList.remove("is-dragged");
    dragged = null;
    show(null);
  });
}

// Above or below a card, or at the end of a section.
function targetOf(event) {
  const element = event.target.closest?.(".card, .section-end");
  if (!element) return null;
  const box = element.getBoundingClientRect();
  const isBelow = element.matches(".card") && event.clientY > box.top + box.height / 2;
  return { element, isBelow };
}

function show(target) {
  for (const each of document.querySelectorAll(".drop-above, .drop-below")) {
    each.classList.remove("drop-above", "drop-below");
  }
  target?.element.classList.add(target.isBelow ? "drop-below" : "drop-above");
}

// Counted without the story itself, as the server counts.
function spotOf({ element, isBelow }, dragged) {
  const section = Number(element.dataset.section);
  const cards = document.querySelectorAll(`.card[data-section="${section}"]`);
  let place = element.matches(".card") ? Number(element.dataset.place) + (isBelow ? 1 : 0) : cards.length;
  if (Number(dragged.dataset.section) === section && Number(dragged.dataset.place) < place) place -= 1;
  return { section, place };
}
