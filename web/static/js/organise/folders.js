// The page of folders: a smart one is made of the filters in its form.
import { element } from "../core/page.js";
import { complain } from "../core/toasts.js";
import { startPage } from "../parts/shell.js";
import { makeFolder } from "./api.js";

element("smart", HTMLFormElement).addEventListener("submit", (event) => {
  event.preventDefault();
  const { name = "", ...filters } = /** @type {Record<string, string>} */ (Object.fromEntries(new FormData(/** @type {HTMLFormElement} */ (event.target))));
  makeFolder(name, new URLSearchParams(filters).toString()).then(({ href }) => location.assign(href), complain);
});

startPage();
