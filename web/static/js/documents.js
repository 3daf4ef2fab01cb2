// The page of documents works by itself; this asks before one is deleted.
import { copies, copyOf } from "./core/api.js";
import { confirmed } from "./parts/dialog.js";
import { startPage } from "./core/page.js";

document.addEventListener("submit", async (event) => {
  const form = event.target;
  if (!(form instanceof HTMLFormElement) || !form.dataset.name) return;
  event.preventDefault();
  if (await confirmed(`Delete ${form.dataset.name}?`, "The document goes, pictures made from it stay.", "Delete", { bad: true })) {
    const [, id = ""] = /\/documents\/(\w+)\/delete$/.exec(form.action) ?? [];
    await copies("readwrite", (all) => all.delete(copyOf(id))).catch(() => {});
    form.submit();
  }
});
startPage();
