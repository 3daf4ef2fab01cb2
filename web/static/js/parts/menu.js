// One menu for the whole page, opened beside a button: arrow keys, Home and End move in it, Escape closes it.
import { html, nothing, render } from "../../vendor/lit-html/lit-html.js";
import { icon } from "../core/page.js";

/** @typedef {{label: string, icon?: string, href?: string, download?: boolean, work?: () => void}} Item */
/** @typedef {{name: string, items: Item[]}} Group */

const EDGE = 8; // px to the edge of the window

/** @type {HTMLElement | null} */
let anchor = null;
/** @type {HTMLElement | undefined} */
let made;

function menu() {
  if (made) return made;
  made = document.createElement("div");
  made.className = "menu";
  made.popover = "auto";
  made.role = "menu";
  made.addEventListener("keydown", move);
  made.addEventListener("toggle", (event) => {
    const open = /** @type {ToggleEvent} */ (event).newState === "open";
    anchor?.setAttribute("aria-expanded", String(open));
    if (!open) anchor = null;
  });
  (document.querySelector("main") ?? document.body).append(made);
  return made;
}

/**
 * @param {HTMLElement} button
 * @param {string} name  for those who can't see it
 * @param {Group[]} groups
 */
export function openMenu(button, name, groups) {
  const box = menu();
  box.setAttribute("aria-label", name);
  render(groups.map(group), box);
  box.showPopover({ source: button });
  anchor = button;
  place(box, button);
  items(box).forEach((one, at) => (one.tabIndex = at ? -1 : 0)); // a menu that scrolls has to have one place for the keyboard
  items(box)[0]?.focus({ preventScroll: true });
}

/** @param {Group} one */
function group({ name, items }) {
  const wide = items.some(({ label }) => label.length > 15);
  return html`<div role="group" aria-label=${name}>
    <h3 aria-hidden="true">${name}</h3>
    ${items.map((one) => entry(one, wide))}
  </div>`;
}

/**
 * @param {Item} one
 * @param {boolean} wide
 */
function entry(one, wide) {
  const look = `menu-item ${wide ? "wide" : ""}`;
  const inside = html`${one.icon ? icon(one.icon) : nothing}${one.label}`;
  if (one.href === undefined) return html`<button class=${look} role="menuitem" tabindex="-1" @click=${() => choose(one)}>${inside}</button>`;
  return html`<a class=${look} role="menuitem" tabindex="-1" href=${one.href} ?download=${one.download} @click=${() => choose(one)}>${inside}</a>`;
}

/** @param {Item} one */
function choose(one) {
  menu().hidePopover();
  one.work?.();
}

/**
 * Beside the button, inside the window; on phones the style sheet puts it at the foot.
 * @param {HTMLElement} box
 * @param {HTMLElement} button
 */
export function place(box, button) {
  const at = button.getBoundingClientRect();
  const { offsetWidth: width, offsetHeight: height } = box;
  const below = at.bottom + 4 + height <= innerHeight - EDGE;
  const top = below ? at.bottom + 4 : Math.max(EDGE, at.top - 4 - height);
  box.style.top = `${Math.min(top, innerHeight - height - EDGE)}px`;
  box.style.left = `${Math.max(EDGE, Math.min(at.right - width, innerWidth - width - EDGE))}px`;
}

/** @param {HTMLElement} box */
const items = (box) => /** @type {HTMLElement[]} */ ([...box.querySelectorAll("[role=menuitem]")]);

/** @param {KeyboardEvent} event */
function move(event) {
  const all = items(menu());
  const now = all.indexOf(/** @type {HTMLElement} */ (document.activeElement));
  const to = { ArrowDown: now + 1, ArrowRight: now + 1, ArrowUp: now - 1, ArrowLeft: now - 1, Home: 0, End: all.length - 1 }[event.key];
  if (event.key === "Tab") return menu().hidePopover();
  if (to === undefined) return;
  event.preventDefault();
  all[(to + all.length) % all.length]?.focus();
}
