"use strict";

// What a browser knows about its reader, so that nobody has to type it: the zone that editions
// arrive in, and the language, unless the reader has chosen one on the page.
for (const form of document.querySelectorAll("form")) {
  const zone = form.elements.namedItem("zone");
  const language = form.elements.namedItem("language");
  if (zone && typeof Intl === "object") {
    zone.value = Intl.DateTimeFormat().resolvedOptions().timeZone || "";
  }
  if (language && "guess" in language.dataset && navigator.language) {
    language.value = navigator.language;
  }
}
