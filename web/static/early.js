// What can't wait for the modules. Not a module itself: it runs before the first paint.

// The theme that was chosen on an earlier visit.
try {
  const theme = localStorage.getItem("atelier.theme");
  if (theme) document.documentElement.dataset.theme = theme;
} catch {
  // Storage is shut off: the system's theme stays.
}
document.documentElement.classList.add("js");

// Enter sends the prompt before bar.js is there, as a page without scripts does, in place of a new line.
addEventListener("keydown", (event) => {
  const form = event.target instanceof HTMLTextAreaElement && event.target.id === "bar-prompt" ? event.target.form : null;
  if (!form || "ready" in form.dataset || event.key !== "Enter" || event.shiftKey || event.isComposing) return;
  event.preventDefault();
  if ("sent" in form.dataset || !form.reportValidity()) return;
  form.dataset.sent = ""; // until the next page is there, or didn't come
  setTimeout(() => delete form.dataset.sent, 5000);
  form.requestSubmit();
});
