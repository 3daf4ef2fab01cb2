// The parameters that are set most, as controls that write their flags into the prompt. The prompt stays the truth.
import { html, render } from "../../vendor/lit-html/lit-html.js";
import { flagValue, withFlag } from "../core/text.js";
import { place } from "./menu.js";

const SHAPES = ["1:1", "4:5", "2:3", "9:16", "5:4", "3:2", "16:9"];
const RANGES = /** @type {const} */ ([
  { label: "Stylize", names: ["stylize", "s"], most: 1000, usual: 100 },
  { label: "Chaos", names: ["chaos", "c"], most: 100, usual: 0 },
  { label: "Weird", names: ["weird", "w"], most: 3000, usual: 0 },
]);
const SWITCHES = /** @type {const} */ ([
  { label: "Raw", names: ["raw"] },
  { label: "HD", names: ["hd"] },
  { label: "Draft", names: ["draft"] },
  { label: "Tile", names: ["tile"] },
  { label: "Stealth", names: ["stealth"] },
]);
const OF_FILMS = /** @type {const} */ ([
  { label: "Film", names: ["video"] },
  { label: "High motion", names: ["motion"], value: "high" },
  { label: "Loop", names: ["loop"] },
]);

/** @type {HTMLElement | undefined} */
let panel;

/**
 * Open or close the panel of `button`, which writes into `field`.
 * @param {HTMLElement} button
 * @param {HTMLTextAreaElement} field
 */
export function togglePanel(button, field) {
  const box = (panel ??= made(button));
  const set = (/** @type {readonly string[]} */ names, /** @type {string | null} */ value) => {
    field.value = withFlag(field.value, [...names], value);
    draw();
  };
  const draw = () => render(controls(field.value, set), box);
  draw();
  box.togglePopover({ source: button });
  place(box, button);
  box.querySelector("button")?.focus({ preventScroll: true });
}

/** @param {HTMLElement} button */
function made(button) {
  const box = document.createElement("div");
  box.className = "flag-panel menu";
  box.popover = "auto";
  box.role = "dialog";
  box.setAttribute("aria-label", "Parameters");
  box.addEventListener("toggle", () => button.setAttribute("aria-expanded", String(box.matches(":popover-open"))));
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
    ${RANGES.map(({ label, names, most, usual }) => {
      const value = Number(flagValue(prompt, [...names]) ?? usual);
      const change = (/** @type {Event} */ event) => {
        const typed = Number(/** @type {HTMLInputElement} */ (event.target).value);
        set(names, typed === usual ? null : String(typed));
      };
      return html`<label class="range"><span>${label}</span><output>${value}</output><input type="range" min="0" max=${most} step=${most / 100} .value=${String(value)} @input=${change}></label>`;
    })}
    <div class="chips">${[...SWITCHES, ...(document.getElementById("bar-do") ? OF_FILMS : [])].map((one) => {
      const on = flagValue(prompt, [...one.names]) !== null;
      return html`<button class="chip" type="button" aria-pressed=${on} @click=${() => set(one.names, on ? null : "value" in one ? one.value : "")}>${one.label}</button>`;
    })}</div>`;
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
