// What opens beside a button: one menu for the whole page, and the parameters that are set most.
import { nothing, render } from "../../vendor/lit-html/lit-html.js";
import { readSuggestions } from "../core/api.js";
import { icon } from "../core/page.js";
import { durationOf, flagValue, html, t, withFlag } from "../core/text.js";

/** @import {ImageModel} from "../types.js" */

// The menu: arrow keys, Home and End move in it, Escape closes it

/** @typedef {{label: string, icon?: string, href?: string, download?: boolean, work?: () => void}} Item */
/** @typedef {{name: string, items: Item[]}} Group */

const EDGE = 8; // px to the edge of the window

/** @type {HTMLElement | null} */
let anchor = null;
/** @type {HTMLElement | undefined} */
let made;

function pageMenu() {
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
  const box = pageMenu();
  box.setAttribute("aria-label", name);
  render(groups.map(group), box);
  box.showPopover({ source: button });
  anchor = button;
  placeBeside(box, button);
  itemsOf(box).forEach((one, at) => (one.tabIndex = at ? -1 : 0)); // a menu that scrolls has to have one place for the keyboard
  itemsOf(box)[0]?.focus({ preventScroll: true });
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
  pageMenu().hidePopover();
  one.work?.();
}

/**
 * Beside the button, inside the window; on phones the style sheet puts it at the foot.
 * @param {HTMLElement} box
 * @param {HTMLElement} button
 */
function placeBeside(box, button) {
  const at = button.getBoundingClientRect();
  const { offsetWidth: width, offsetHeight: height } = box;
  const below = at.bottom + 4 + height <= innerHeight - EDGE;
  const top = below ? at.bottom + 4 : Math.max(EDGE, at.top - 4 - height);
  box.style.top = `${Math.min(top, innerHeight - height - EDGE)}px`;
  box.style.left = `${Math.max(EDGE, Math.min(at.right - width, innerWidth - width - EDGE))}px`;
}

/** @param {HTMLElement} box */
const itemsOf = (box) => /** @type {HTMLElement[]} */ ([...box.querySelectorAll("[role=menuitem]")]);

/** @param {KeyboardEvent} event */
function move(event) {
  const all = itemsOf(pageMenu());
  const now = all.indexOf(/** @type {HTMLElement} */ (document.activeElement));
  const to = { ArrowDown: now + 1, ArrowRight: now + 1, ArrowUp: now - 1, ArrowLeft: now - 1, Home: 0, End: all.length - 1 }[event.key];
  if (event.key === "Tab") return pageMenu().hidePopover();
  if (to === undefined) return;
  event.preventDefault();
  all[(to + all.length) % all.length]?.focus();
}

// The parameters that are set most, as controls that write their flags into the prompt. The prompt stays the truth.

const SHAPES = ["1:1", "4:5", "2:3", "9:16", "5:4", "3:2", "16:9"];
const RANGES = /** @type {const} */ ([
  { label: t("Stylize"), names: ["stylize", "s"], most: 1000, usual: 100 },
  { label: t("Chaos"), names: ["chaos", "c"], most: 100, usual: 0 },
  { label: t("Weird"), names: ["weird", "w"], most: 3000, usual: 0 },
]);
const SWITCHES = /** @type {const} */ ([
  { label: t("Raw"), names: ["raw"] },
  { label: "HD", names: ["hd"] },
  { label: t("Draft"), names: ["draft"] },
  { label: t("Think"), names: ["think"] },
  { label: t("Tile"), names: ["tile"] },
  { label: t("Stealth"), names: ["stealth"] },
]);
const OF_VIDEOS = /** @type {const} */ ([
  { label: t("Video"), names: ["video"] },
  { label: t("High motion"), names: ["motion"], value: "high" },
  { label: t("Loop"), names: ["loop"] },
]);

const OF_MODELS = ["model", "v", "version", "niji"]; // each names what draws

/** @type {HTMLElement | undefined} */
let panel;
/** @type {ImageModel[] | undefined} read when the panel is first opened, and again with each opening: times change */
let models;

/**
 * Open or close the panel of `button`, which writes into `field`.
 * @param {HTMLElement} button
 * @param {HTMLTextAreaElement} field
 */
export async function togglePanel(button, field) {
  const box = (panel ??= panelFor(button));
  const closes = "closes" in button.dataset; // the press itself has closed it: it was open when the press began
  delete button.dataset.closes;
  if (closes) return;
  const set = (/** @type {readonly string[]} */ names, /** @type {string | null} */ value) => {
    field.value = withFlag(field.value, [...names], value);
    field.dispatchEvent(new Event("input")); // its marks are of other words now, and it is kept for later
    draw();
  };
  const draw = () => render(controls(field.value, set), box);
  const reading = readSuggestions("").then((found) => {
    models = found.models;
    draw();
  }, () => undefined); // without a list of models it works as well
  if (!models) await reading;
  draw();
  box.togglePopover({ source: button });
  placeBeside(box, button);
  box.querySelector("button")?.focus({ preventScroll: true });
}

/** @param {HTMLElement} button */
function panelFor(button) {
  const box = document.createElement("div");
  box.className = "flag-panel menu";
  box.popover = "auto";
  box.role = "dialog";
  box.setAttribute("aria-label", t("Parameters"));
  box.addEventListener("toggle", () => button.setAttribute("aria-expanded", String(box.matches(":popover-open"))));
  button.addEventListener("pointerdown", () => button.toggleAttribute("data-closes", box.matches(":popover-open")));
  document.body.append(box);
  return box;
}

/**
 * @param {string} prompt
 * @param {(names: readonly string[], value: string | null) => void} set
 */
function controls(prompt, set) {
  const shape = flagValue(prompt, ["ar", "aspect"]) ?? "1:1";
  return html`<fieldset><legend>Shape</legend><div class="shapes">${SHAPES.map((one) => shapeButton(one, one === shape, () => set(["ar", "aspect"], one === "1:1" ? null : one)))}</div></fieldset>
    ${flagValue(prompt, ["video"]) === null ? modelChoice(prompt, set) : nothing}
    ${RANGES.map(({ label, names, most, usual }) => {
      const value = Number(flagValue(prompt, [...names]) ?? usual);
      const change = (/** @type {Event} */ event) => {
        const typed = Number(/** @type {HTMLInputElement} */ (event.target).value);
        set(names, typed === usual ? null : String(typed));
      };
      return html`<label class="range"><span>${label}</span><span class="value" aria-hidden="true">${value}</span><input type="range" aria-label=${label} min="0" max=${most} step=${most / 100} .value=${String(value)} @input=${change}></label>`;
    })}
    <div class="chips">${[...SWITCHES, ...(document.getElementById("bar-do") ? OF_VIDEOS : [])].map((one) => {
      const on = flagValue(prompt, [...one.names]) !== null;
      return html`<button class="chip" type="button" aria-pressed=${on} @click=${() => set(one.names, on ? null : "value" in one ? one.value : "")}>${one.label}</button>`;
    })}</div>`;
}

/**
 * The models to draw with: a list to choose from, or the only one, told.
 * @param {string} prompt
 * @param {(names: readonly string[], value: string | null) => void} set
 */
function modelChoice(prompt, set) {
  if (!models?.length) return nothing;
  const [version, niji] = [flagValue(prompt, ["v", "version"]), flagValue(prompt, ["niji"])];
  const versions = [version && `v${version}`, version && `v${version.split(".", 1)[0]}`, niji !== null && `niji${niji}`, niji !== null && "niji"];
  const wanted = [flagValue(prompt, ["model"]), ...versions].map((name) => models?.find((one) => name && one.name.toLowerCase() === name.toLowerCase()));
  const chosen = wanted.find(Boolean) ?? models.find(({ usual }) => usual);
  const only = models.length === 1;
  return html`<fieldset><legend>Model</legend><div class="models">${models.map((one) => {
    const { name, usual, about, seconds } = one;
    const inside = html`<span>${name}${usual && !only ? html` <span class="muted">(default)</span>` : nothing}</span>
      ${seconds === null ? nothing : html`<span class="muted">4 in about ${durationOf(seconds)}</span>`}${about ? html`<span class="about muted">${about}</span>` : nothing}`;
    if (only) return html`<p class="model">${inside}</p>`;
    return html`<button type="button" class="model" aria-pressed=${one === chosen} @click=${() => set(OF_MODELS, usual ? null : name)}>${inside}</button>`;
  })}</div></fieldset>`;
}

/**
 * @param {string} shape
 * @param {boolean} on
 * @param {() => void} choose
 */
function shapeButton(shape, on, choose) {
  const [w = 1, h = 1] = shape.split(":").map(Number);
  const scale = 18 / Math.max(w, h);
  return html`<button type="button" class="shape" aria-pressed=${on} @click=${choose}>
    <svg viewBox="-10 -10 20 20" aria-hidden="true"><rect x=${(-w * scale) / 2} y=${(-h * scale) / 2} width=${w * scale} height=${h * scale} rx="1.5" fill="none" stroke="currentColor" stroke-width="1.5"></rect></svg>${shape}
  </button>`;
}
