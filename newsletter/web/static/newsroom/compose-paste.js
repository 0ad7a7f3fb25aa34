// A paste from Word, Google Docs or a web page keeps its bold, links, lists and headings.
// Pasting as plain text (Ctrl+Shift+V) brings no HTML, and is left to the browser.

export function readPaste(url, headers) {
  document.addEventListener("paste", async (event) => {
    const field = event.target;
    if (field.id !== "text" && !field.hasAttribute?.("data-rich")) return;
    const html = event.clipboardData.getData("text/html");
    if (!html) return;
    const plain = event.clipboardData.getData("text/plain");
    event.preventDefault();
    insert(field, await textOf(html, plain, field, url, headers));
  });
}

async function textOf(html, plain, field, url, headers) {
  const isFormatted = field.id !== "text" || /^---\r?\n\w+\s*:/.test(field.value.trimStart());
  try {
    const response = await fetch(`${url}/paste`, {
      method: "POST",
      body: JSON.stringify({ html, formatted: isFormatted }),
      headers: { ...headers, "Content-Type": "application/json" },
    });
    return response.ok ? (await response.json()).text || plain : plain;
  } catch {
    return plain;
  }
}

function insert(field, pasted) {
  field.focus();
  const text = parted(field, pasted);
  // The only way that leaves the browser's own undo whole.
  if (document.execCommand("insertText", false, text)) return;
  field.setRangeText(text, field.selectionStart, field.selectionEnd, "end");
  field.dispatchEvent(new Event("input", { bubbles: true }));
}

// Paragraphs stay paragraphs of their own, wherever they are pasted.
function parted(field, text) {
  if (!text.includes("\n")) return text;
  const before = field.value.slice(0, field.selectionStart);
  const after = field.value.slice(field.selectionEnd);
  const lead = !before.trim() || before.endsWith("\n\n") ? "" : before.endsWith("\n") ? "\n" : "\n\n";
  const trail = !after.trim() || after.startsWith("\n") ? "" : "\n\n";
  return lead + text + trail;
}
