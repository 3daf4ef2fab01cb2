// The page of documents: this asks before one is deleted.
import { copies, copyOf } from "./core/kept.js";
import { confirmed } from "./parts/dialog.js";
import { sendForm, startPage } from "./parts/shell.js";

document.addEventListener("submit", async (event) => {
  const form = event.target;
  if (!(form instanceof HTMLFormElement) || !form.dataset.name) return;
  event.preventDefault();
  if (await confirmed(`Delete ${form.dataset.name}?`, "The document goes, pictures made from it stay.", "Delete", { bad: true })) {
    const [, id = ""] = /\/documents\/(\w+)$/.exec(form.dataset.send ?? "") ?? [];
    await copies("readwrite", (all) => all.delete(copyOf(id))).catch(() => {});
    sendForm(form);
  }
});
startPage();
