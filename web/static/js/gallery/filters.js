// The fields above the gallery, without a new page for each change.
import { element } from "../core/page.js";

/** @import {Filters} from "./source.js" */

const PAUSE = 250; // ms of not typing

/**
 * Show filters in the fields.
 * @param {Filters} filters
 */
export function fillFilters(filters) {
  for (const field of element("filters", HTMLFormElement).elements) {
    if (!(field instanceof HTMLInputElement || field instanceof HTMLSelectElement)) continue;
    const value = /** @type {Record<string, unknown>} */ (filters)[field.name];
    if (field.name === "favourite") /** @type {HTMLInputElement} */ (field).checked = Boolean(value);
    else if (["q", "kind", "month"].includes(field.name)) field.value = String(value ?? "");
  }
}

/**
 * `filter`: isMore: the same words, typed on. `jump`: go to a month; returns false where that isn't known, so that it must be a filter.
 * @param {{filter: (filters: Filters, isMore: boolean) => void, jump: (month: string) => boolean}} page
 */
export function watchFilters(page) {
  const form = element("filters", HTMLFormElement);
  const month = document.getElementById("month");
  let timer = 0;
  let isTyping = false;
  const filter = (isMore = false) => {
    const data = new FormData(form);
    const text = (/** @type {string} */ name) => String(data.get(name) ?? "").trim() || null;
    page.filter({ q: text("q"), kind: text("kind"), favourite: data.has("favourite"), month: text("month") }, isMore);
  };
  element("apply", HTMLElement).hidden = true;
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    filter();
  });
  form.addEventListener("input", ({ target }) => {
    if (month instanceof HTMLSelectElement && target === month && page.jump(month.value)) return void (month.value = "");
    clearTimeout(timer);
    const typed = target instanceof HTMLInputElement && target.type === "search";
    timer = setTimeout(() => {
      filter(typed && isTyping);
      isTyping = typed;
    }, typed ? PAUSE : 0);
  });
  form.addEventListener("change", ({ target }) => target instanceof HTMLInputElement && target.type === "search" && (isTyping = false));
}
