// What can't wait for the modules. Not a module itself: it runs before the first paint.

// The theme that was chosen on an earlier visit.
try {
  const theme = localStorage.getItem("atelier.theme");
  if (theme) document.documentElement.dataset.theme = theme;
} catch {
  // Storage is shut off: the system's theme stays.
}
document.documentElement.classList.add("js");

// Enter sends the prompt before bar.js is there, in place of a new line.
addEventListener("keydown", (event) => {
  const form = event.target instanceof HTMLTextAreaElement && event.target.id === "bar-prompt" ? event.target.form : null;
  if (!form || "ready" in form.dataset || event.key !== "Enter" || event.shiftKey || event.isComposing) return;
  event.preventDefault();
  form.requestSubmit();
});

// The modules send forms; one that is sent before they are there waits for them.
addEventListener("submit", (event) => {
  const form = /** @type {HTMLFormElement} */ (event.target);
  if ("started" in document.body.dataset || form.hasAttribute("method")) return;
  event.preventDefault();
  event.stopPropagation();
  addEventListener("started", () => {
    if (!form.isConnected) document.body.append(Object.assign(form, { hidden: true })); // a module has drawn over it
    form.requestSubmit();
  }, { once: true });
}, true);
