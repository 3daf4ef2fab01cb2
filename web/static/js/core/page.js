// What a page has from the server: its data, its elements, the icons.
import { html } from "../../vendor/lit-html/lit-html.js";

const ICONS = new URL("../../icons.svg", import.meta.url).pathname;

/** @param {string} name  of a symbol in icons.svg */
export const icon = (name) => html`<svg class="icon" aria-hidden="true"><use href="${ICONS}#${name}"></use></svg>`;

/**
 * The mark of a film on its first frame: "▶ 0:05".
 * @param {number} seconds
 */
export const length = (seconds) => html`<span class="length" aria-hidden="true">${icon("play")}${Math.floor(seconds / 60)}:${String(Math.floor(seconds % 60)).padStart(2, "0")}</span>`;

/**
 * The JSON that the server wrote into the page; the caller names its type.
 * @returns {unknown}
 */
export function pageData() {
  return JSON.parse(document.getElementById("data")?.textContent || "{}");
}

/**
 * The element with this id, of this class. Throws when the template has none.
 * @template {Element} T
 * @param {string} id
 * @param {new () => T} type
 * @returns {T}
 */
export function element(id, type) {
  const found = document.getElementById(id);
  if (!(found instanceof type)) throw new Error(`#${id} is missing`);
  return found;
}

/**
 * Show what the template hides from browsers without JavaScript.
 * @param {...string} ids
 */
export function unhide(...ids) {
  for (const id of ids) document.getElementById(id)?.removeAttribute("hidden");
}

/**
 * Let many calls in one frame run `work` once.
 * @param {() => void} work
 */
export function oncePerFrame(work) {
  let waits = false;
  return () => {
    if (waits) return;
    waits = true;
    requestAnimationFrame(() => {
      waits = false;
      work();
    });
  };
}
