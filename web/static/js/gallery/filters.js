// The fields above the gallery, without a new page for each change.
import { element } from "../core/page.js";

/** @import {Filters} from "./source.js" */

const PAUSE = 250; // ms of not typing

/**
 * `jump`: go to a month; returns false where that isn't known, so that it must be a filter.
 * @param {{filter: (filters: Filters) => void, jump: (month: string) => boolean}} page
 */
export function watchFilters(page) {
  const form = element("filters", HTMLFormElement);
  const month = document.getElementById("month");
  let timer = 0;
  const filter = () => {
    const data = new FormData(form);
    const text = (/** @type {string} */ name) => String(data.get(name) ?? "").trim() || null;
    page.filter({ q: text("q"), kind: text("kind"), favourite: data.has("favourite"), month: text("month") });
  };
  element("apply", HTMLElement).hidden = true;
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    filter();
  });
  form.addEventListener("input", ({ target }) => {
    if (month instanceof HTMLSelectElement && target === month && page.jump(month.value)) return void (month.value = "");
    clearTimeout(timer);
    timer = setTimeout(filter, target instanceof HTMLInputElement && target.type === "search" ? PAUSE : 0);
  });
}
