// Small things for every page of the newsroom and the office. Nothing here is needed to use it.

// The open menu of a phone closes with Escape, and opens with Enter as links do.
const menu = document.getElementById("menu-switch");
document.addEventListener("keydown", (event) => {
  if (event.key === "Escape" && menu?.checked) {
    menu.checked = false;
    menu.focus();
  }
});

// Only one question "are you sure" is open at a time, and Escape takes it back.
document.addEventListener("toggle", (event) => {
  if (!event.target.matches?.("details.sure") || !event.target.open) return;
  for (const other of document.querySelectorAll("details.sure[open]")) {
    if (other !== event.target) other.open = false;
  }
}, true);
document.addEventListener("keydown", (event) => {
  if (event.key !== "Escape") return;
  const open = document.querySelector("details.sure[open]");
  if (open) {
    open.open = false;
    open.querySelector("summary").focus();
  }
});

// A second press of a button while its form is on its way sends nothing twice.
document.addEventListener("submit", (event) => {
  const form = event.target;
  if (form.method !== "post" || event.defaultPrevented) return;
  if (form.dataset.onItsWay) {
    event.preventDefault();
    return;
  }
  form.dataset.onItsWay = "1";
  // Back on the page, or still there since what came was a file.
  addEventListener("pageshow", () => delete form.dataset.onItsWay, { once: true });
  setTimeout(() => delete form.dataset.onItsWay, 4000);
});

// A table that does not fit can be scrolled by keys in every browser: it takes the focus.
function reachTables() {
  for (const box of document.querySelectorAll(".table-box")) {
    const isCut = box.scrollWidth > box.clientWidth || box.scrollHeight > box.clientHeight;
    if (isCut) box.tabIndex = 0;
    else box.removeAttribute("tabindex");
  }
}
reachTables();
addEventListener("resize", reachTables);
document.addEventListener("htmx:afterSettle", reachTables);

// Says so when a part of the page could not be refreshed.
document.addEventListener("htmx:responseError", (event) => tell(`The server answered ${event.detail.xhr.status}. Reload the page.`));
document.addEventListener("htmx:sendError", () => tell("The server cannot be reached. What is shown may be old."));
document.addEventListener("htmx:afterRequest", (event) => event.detail.successful && tell(""));

function tell(words) {
  let line = document.getElementById("connection");
  if (!line) {
    if (!words) return;
    line = document.createElement("p");
    line.id = "connection";
    line.className = "notice bad";
    line.setAttribute("role", "status");
    document.getElementById("main").prepend(line);
  }
  line.textContent = words;
  line.hidden = !words;
}
