// Local times, the toggles beside a message, and new mail appearing in the list by itself.
"use strict";

const POLL_MILLISECONDS = 2000;

function showLocalTimes(root) {
  const today = new Date().toDateString();
  for (const time of root.querySelectorAll("time[datetime]")) {
    const at = new Date(time.dateTime);
    const clock = { hour: "2-digit", minute: "2-digit", second: "2-digit" };
    const isToday = at.toDateString() === today;
    time.textContent = isToday
      ? at.toLocaleTimeString([], clock)
      : at.toLocaleString([], { day: "numeric", month: "short", hour: "2-digit", minute: "2-digit" });
    time.title = at.toLocaleString();
  }
}

function setUpToggles() {
  const stage = document.querySelector(".stage");
  const toggles = document.querySelector(".toggles");
  if (!stage || !toggles) return;
  const frame = stage.querySelector("iframe");
  const choose = (name, value) => {
    stage.dataset[name] = value;
    for (const button of toggles.querySelectorAll(`[data-set="${name}"]`)) {
      button.setAttribute("aria-pressed", String(button.dataset.value === value));
    }
  };
  for (const button of toggles.querySelectorAll("button")) {
    button.addEventListener("click", () => {
      const { set, value } = button.dataset;
      if (set === "scheme" && value !== stage.dataset.scheme) {
        frame.src = `${frame.dataset.src}?scheme=${value}`;
      }
      choose(set, value);
    });
  }
  if (matchMedia("(prefers-color-scheme: dark)").matches) choose("scheme", "dark");
  toggles.hidden = false;
}

async function refresh() {
  const live = document.getElementById("live");
  const { received } = await (await fetch("/api/count")).json();
  if (String(received) === live.dataset.count) return;
  const page = await (await fetch(location.href)).text();
  const fresh = new DOMParser().parseFromString(page, "text/html");
  const focused = document.activeElement?.getAttribute("href");
  live.replaceWith(document.adoptNode(fresh.getElementById("live")));
  document.title = fresh.title;
  showLocalTimes(document);
  if (focused?.startsWith("/messages/")) document.querySelector(`a[href="${focused}"]`)?.focus();
}

function poll() {
  setTimeout(async () => {
    // While the server restarts, the page keeps what it shows.
    if (!document.hidden) await refresh().catch(() => {});
    poll();
  }, POLL_MILLISECONDS);
}

showLocalTimes(document);
setUpToggles();
if (document.querySelector("[data-poll]")) poll();
