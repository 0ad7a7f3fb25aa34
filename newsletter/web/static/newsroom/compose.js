// Compose: saves while somebody types, puts the answer's parts into the page, and moves cards about.
// Without this file every form of the page still works by itself.

import { markLines } from "./compose-sheet.js";
import { readPaste } from "./compose-paste.js";
import { moveByDragging, moveByKeys } from "./compose-moves.js";

const PAUSE_MS = 150;
const RETRY_MS = 3000;

const desk = document.getElementById("desk");
const state = document.getElementById("state");
const headers = { ...JSON.parse(document.body.getAttribute("hx-headers")), "HX-Request": "true" };

let version = desk.dataset.version;
let isHalted = false;
let underWay = Promise.resolve();
const waiting = new Map();

// Saving: one request at a time, each on top of the version that the last one made.

function send(form, submitter, more) {
  const sent = underWay.then(() => sendNow(form, submitter, more));
  underWay = sent;
  return sent;
}

// The answer, or null when nothing was saved.
async function sendNow(form, submitter, more = {}) {
  if (isHalted) return null;
  const fields = new FormData(form, submitter?.form === form ? submitter : undefined);
  for (const [name, value] of Object.entries(more)) fields.set(name, value);
  fields.set("version", version);
  say("Saving…");
  let response;
  try {
    response = await fetch(form.action, { method: "POST", body: fields, headers });
  } catch {
    say("Not saved: the server cannot be reached. It is tried again.", "bad");
    setTimeout(() => send(form, submitter, more), RETRY_MS);
    return null;
  }
  const answer = await read(response);
  if (answer) take(answer, form);
  return answer;
}

async function read(response) {
  if (response.headers.has("HX-Redirect")) {
    isHalted = true;
    location.assign(response.headers.get("HX-Redirect"));
    return null;
  }
  if (!response.headers.get("content-type")?.startsWith("application/json")) {
    say(`Not saved. ${words(await response.text()) || response.statusText}`, "bad");
    return null;
  }
  const answer = await response.json();
  if (!answer.conflict) return answer;
  isHalted = true;
  document.getElementById("conflict").innerHTML = answer.conflict;
  say("Not saved any more", "bad");
  return null;
}

function take(answer, form) {
  version = answer.version;
  for (const [name, html] of Object.entries(answer.parts)) put(name, html);
  for (const field of document.querySelectorAll("input[name=version]")) field.value = version;
  document.querySelector(".page-head h1").textContent = answer.title;
  showLetter(answer.letter);
  markLines();
  if (!waiting.has(form)) form.removeAttribute("data-changed");
}

function put(name, html) {
  const part = document.getElementById(name);
  if (!part) return;
  if (name === "state") {
    say(html);
    return;
  }
  if (name !== "cards") {
    part.innerHTML = html;
    return;
  }
  const open = [...part.querySelectorAll("details[open]")].map(keyOf);
  part.innerHTML = html;
  for (const each of part.querySelectorAll("details")) {
    if (open.includes(keyOf(each))) each.open = true;
  }
}

// A story is found again by its headline, whatever number it has now.
function keyOf(details) {
  const card = details.closest("[data-key]");
  return `${card?.dataset.key ?? ""}|${details.className || details.id}`;
}

function say(html, tone = "") {
  state.innerHTML = html;
  state.className = `saved ${tone}`;
}

function words(html) {
  return new DOMParser().parseFromString(html, "text/html").body.textContent.trim();
}

function showLetter(html) {
  const frame = document.getElementById("letter");
  const page = frame?.contentDocument;
  if (!html || !page) return;
  const top = page.scrollingElement?.scrollTop ?? 0;
  page.documentElement.innerHTML = html;
  if (page.scrollingElement) page.scrollingElement.scrollTop = top;
}

// What is typed is saved after a pause; what a button does, at once, and after what was typed.

function saveSoon(form) {
  form.setAttribute("data-changed", "");
  clearTimeout(waiting.get(form));
  waiting.set(form, setTimeout(() => saveTyped(form), PAUSE_MS));
}

function saveTyped(form) {
  clearTimeout(waiting.get(form));
  waiting.delete(form);
  if (!form.isConnected) return;
  const wrong = form.querySelector(":invalid");
  if (wrong) say(`Not saved: ${wrong.labels?.[0]?.textContent ?? ""}: ${wrong.validationMessage}`, "bad");
  else send(form, null, { quietly: "1" });
}

async function saveAllTyped() {
  for (const form of [...waiting.keys()]) saveTyped(form);
  await underWay;
}

document.addEventListener("input", (event) => {
  const field = event.target;
  const form = field.closest?.("form[data-autosave]");
  if (!form || field.hasAttribute("data-no-autosave")) return;
  if (field.name === "headline") nameCard(field);
  if (field.name === "point") growPoints(field);
  saveSoon(form);
});

function nameCard(field) {
  const card = field.closest(".card");
  card.dataset.key = field.value;
  card.querySelector(".card-said strong").textContent = field.value || "No headline";
}

// There is always an empty line to write the next key point in.
function growPoints(field) {
  const row = field.closest("li");
  if (row.nextElementSibling || !field.value) return;
  const next = row.cloneNode(true);
  const number = row.parentElement.children.length + 1;
  for (const each of next.querySelectorAll("[id], [for]")) {
    for (const name of ["id", "for"]) {
      if (each.hasAttribute(name)) each.setAttribute(name, each.getAttribute(name).replace(/\d+$/, number));
    }
  }
  next.querySelector("input").value = "";
  row.after(next);
}

document.addEventListener("submit", async (event) => {
  const form = event.target.closest("form[data-live]");
  if (!form) return;
  event.preventDefault();
  clearTimeout(waiting.get(form));
  waiting.delete(form);
  const answer = await act(form, {}, event.submitter);
  if (answer) focusAfter(answer, event.submitter);
});

export async function act(form, fields, submitter = null) {
  await saveAllTyped();
  return send(form, submitter, fields);
}

// After a move the same button of the moved thing has the focus, so that it can be pressed again;
// in something new its first field has it.
function focusAfter(answer, submitter) {
  const part = document.getElementById(answer.focus);
  if (!part || !submitter) return;
  const { name, value } = submitter;
  if (name === "do" && value.endsWith("-add")) {
    part.querySelector("details.card-edit")?.setAttribute("open", "");
    part.querySelector("input:not([type=hidden])")?.focus();
    return;
  }
  const step = { up: -1, down: 1 }[name] ?? 0;
  const wanted = step ? String(Number(value) + step) : value;
  const buttons = [...part.querySelectorAll("button:not(:disabled)")];
  const same = buttons.find((each) => each.name === name && each.value === wanted);
  (same ?? buttons.find((each) => each.classList.contains("quiet")))?.focus();
}

function isUnsaved() {
  return !isHalted && (waiting.size > 0 || document.querySelector("form[data-changed]") !== null);
}

addEventListener("beforeunload", (event) => {
  if (isUnsaved()) event.preventDefault();
});

// Who goes on by a link of ours while something is being saved goes once it is.
document.addEventListener("click", async (event) => {
  const link = event.target.closest?.("a[href]");
  const isPlain = event.button === 0 && !event.metaKey && !event.ctrlKey && !event.shiftKey;
  if (!link || !isPlain || event.defaultPrevented || !isUnsaved()) return;
  if (link.origin !== location.origin || link.target || link.getAttribute("href").startsWith("#")) return;
  event.preventDefault();
  await saveAllTyped();
  location.assign(link.href);
});
document.addEventListener("visibilitychange", () => document.hidden && saveAllTyped());

// A finding leads to its line, or to its story's card, opened.

document.addEventListener("click", (event) => {
  const place = event.target.closest?.(".finding-place");
  if (!place) return;
  if (place.dataset.jump) {
    event.preventDefault();
    jumpTo(Number(place.dataset.jump));
    return;
  }
  const card = document.querySelector(place.getAttribute("href"));
  card?.querySelector("details.card-edit")?.setAttribute("open", "");
});

function jumpTo(line) {
  const field = document.getElementById("text");
  const lines = field.value.split("\n");
  const start = lines.slice(0, line - 1).join("\n").length + (line > 1 ? 1 : 0);
  field.focus();
  field.setSelectionRange(start, start + (lines[line - 1]?.length ?? 0));
  document.querySelector(`.sheet-lines [data-number="${line}"]`)?.scrollIntoView({ block: "center" });
}

markLines();
readPaste(desk.dataset.url, headers);
moveByKeys();
moveByDragging(act);
