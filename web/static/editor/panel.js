// What stands around the stage: tools, their settings, words, mask, canvas, layers. Drawn from the editor's state.
import { html, nothing } from "../vendor/lit-html/lit-html.js";
import { repeat } from "../vendor/lit-html/directives/repeat.js";
import { icon } from "../js/core/page.js";
import { counted } from "../js/core/text.js";
import { complain } from "../js/core/toasts.js";
import { MOST_SIDE, raised, smallOf, withLayer } from "./document.js";
import { FIELDS } from "./editor.js";
import { HOW, WAYS } from "./picking.js";
import { MARKS, PAINTS, TOOLS } from "./tools.js";

/** @import {TemplateResult} from "../vendor/lit-html/lit-html.js" */
/** @import {Layer, Reference, State} from "./document.js" */
/** @import {Editor} from "./editor.js" */

/** What the panels need beside the editor. @typedef {{editor: Editor, said: string, wrong: string, isSending: boolean, send: () => void, intake: import("./intake.js").Intake, covered: number}} Desk */

const SHAPES = /** @type {[number, number][]} */ ([[1, 1], [4, 5], [2, 3], [9, 16], [5, 4], [3, 2], [16, 9]]);
const FIELDS_OF = Array.from({ length: FIELDS * FIELDS }, (_, at) => at + 1);
const LARGEST = 9; // doublings of the brush from 1 px
const ROLES = { style: "Style", character: "Character", thing: "Thing" };

/** @param {Event} event */
const typed = (event) => /** @type {HTMLInputElement} */ (event.target).value;

/** @param {string} label @param {string} name @param {() => void} work @param {boolean} [isOff] @param {string} [keys] */
export const tool = (label, name, work, isOff = false, keys = "") =>
  html`<button class="icon-button" type="button" title=${keys ? `${label} (${keys})` : label} aria-label=${label} aria-disabled=${isOff} @click=${() => isOff || work()}>${icon(name)}</button>`;

/** @param {string} label @param {() => void} work @param {boolean | null} [isOn] */
const small = (label, work, isOn = null) => html`<button class="button quiet small" type="button" aria-pressed=${isOn ?? nothing} @click=${work}>${label}</button>`;

/** @param {string} label @param {number} value @param {(value: number) => void} set @param {{min?: number, max?: number, step?: number}} [range] */
const number = (label, value, set, { min = -16384, max = 16384, step = 1 } = {}) =>
  html`<label class="number"><span>${label}</span><input type="number" min=${min} max=${max} step=${step} .value=${String(value)} @change=${(/** @type {Event} */ event) => {
    const found = Number(typed(event));
    if (typed(event) !== "" && found >= min && found <= max) set(found);
    else /** @type {HTMLInputElement} */ (event.target).value = String(value);
  }}></label>`;

/** @param {string} label @param {string} shown @param {number} value @param {number} max @param {(value: number) => void} set @param {number} [step] */
const range = (label, shown, value, max, set, step = 1) =>
  html`<label class="range"><span>${label}</span><output>${shown}</output><input type="range" min="0" max=${max} step=${step} .value=${String(value)} @input=${(/** @type {Event} */ event) => set(Number(typed(event)))}></label>`;

/** @param {Record<string, string>} all @param {string} chosen */
const choices = (all, chosen) => Object.entries(all).map(([id, label]) => html`<option value=${id} ?selected=${id === chosen}>${label}</option>`);

/** @param {string} label @param {boolean} isOn @param {(isOn: boolean) => void} set */
const toggle = (label, isOn, set) =>
  html`<label class="toggle"><span>${label}</span><input class="switch" type="checkbox" role="switch" .checked=${isOn} @change=${(/** @type {Event} */ event) => set(/** @type {HTMLInputElement} */ (event.target).checked)}></label>`;

/** @param {Editor} editor */
export const tools = (editor) =>
  TOOLS.map(({ id, key, label, icon: name, help }) => html`<button class="icon-button" type="button" title="${label} (${key.toUpperCase()}): ${help}" aria-label=${label} aria-pressed=${editor.tool === id} @click=${() => editor.take(id)}>${icon(name)}</button>`);

/** @param {Editor} editor */
export const head = (editor) => html`${tool("Undo", "undo", () => editor.undo(), !editor.history.past.length, "Ctrl+Z")}${tool("Redo", "redo", () => editor.redo(), !editor.history.future.length, "Ctrl+Shift+Z")}
  <span class="zooms">${tool("Zoom out", "minus", () => editor.zoom(0.8), false, "-")}<output>${Math.round((editor.view.scale / editor.view.density) * 100)} %</output>${tool("Zoom in", "plus", () => editor.zoom(1.25), false, "+")}</span>
  ${tool("Show all of it", "fit", () => editor.fit(), false, "F")}`;

/** The settings of the tool in hand. @param {Editor} editor @returns {TemplateResult} */
export function options(editor) {
  const { tool: id } = editor;
  if (id === "pick") return picking(editor);
  const { help } = TOOLS.find((one) => one.id === id) ?? { help: "" };
  const value = html`<span class="segments" role="group" aria-label="What it does">${small(id === "restore" ? "Bring back" : "Paint", () => editor.set({ value: 1 }), editor.value === 1)}${small(id === "restore" ? "Rub out" : "Take away", () => editor.set({ value: 0 }), editor.value === 0)}</span>`;
  const size = range("Size", `${Math.round(editor.size)} px`, Math.log2(editor.size), LARGEST + 3, (exponent) => editor.set({ size: Math.round(2 ** exponent) }), 0.1);
  const tolerance = range("Tolerance", String(editor.tolerance), editor.tolerance, 128, (found) => editor.set({ tolerance: found }));
  return html`${PAINTS.includes(id) ? size : nothing}${id === "wand" ? tolerance : nothing}${MARKS.includes(id) ? value : nothing}
    ${editor.shape ? html`<span class="segments">${small("Done", () => editor.finish())}${small("Drop it", () => editor.drop())}</span>` : html`<p class="muted small help">${help}</p>`}`;
}

/** @param {Editor} editor */
function picking({ picking }) {
  const { can, how, way, isOpen, said } = picking;
  const find = (/** @type {SubmitEvent} */ event) => {
    event.preventDefault();
    const field = /** @type {HTMLFormElement} */ (event.target).elements.namedItem("thing");
    picking.words(/** @type {HTMLInputElement} */ (field).value);
  };
  return html`${can?.words ? html`<form class="thing" @submit=${find}><input class="field" name="thing" aria-label="The thing to pick, in words" placeholder="The red boat" maxlength="80" autocomplete="off"><button class="button quiet small">Find</button></form>` : nothing}
    ${can?.points ? html`<select class="field" aria-label="What is pressed next" .value=${way} ?disabled=${!isOpen} @change=${(/** @type {Event} */ event) => picking.set({ way: /** @type {keyof typeof WAYS} */ (typed(event)) })}>${choices(WAYS, way)}</select>` : nothing}
    ${can?.points || can?.words ? html`<select class="field" aria-label="What becomes of the mask" @change=${(/** @type {Event} */ event) => picking.set({ how: /** @type {keyof typeof HOW} */ (typed(event)) })}>${choices(HOW, how)}</select>` : nothing}
    <p class="muted small help">${said}</p>`;
}

/** What lies over the stage: that something is looked for, or why it wasn't found. @param {Editor} editor */
export function notice({ tool: id, picking }) {
  if (id !== "pick") return nothing;
  if (picking.now) return html`<progress aria-label="Looking"></progress><span class="sr">${picking.can ? "Looking" : "Getting ready"}</span>`;
  return picking.trouble ? html`<p>${picking.trouble}</p>${picking.can ? nothing : small("Try again", () => picking.ready())}` : nothing;
}

// What a control changes is the document as it is then: several changes may come before the panels are drawn again.

/** @param {Desk} desk */
export function ask({ editor, said, wrong, isSending, send, intake }) {
  const { state } = editor;
  const change = (/** @type {Partial<State>} */ part, kind = "") => editor.change({ ...editor.state, ...part }, kind);
  return html`<form class="words-form" @submit=${(/** @type {Event} */ event) => (event.preventDefault(), send())}>
    <label class="stacked"><span>Words</span><textarea class="field" id="words" rows="3" maxlength="4000" placeholder="What should be there? Empty: the picture's own words" .value=${state.words} @input=${(/** @type {Event} */ event) => change({ words: typed(event) }, "words")} @change=${() => editor.settle()}></textarea></label>
    ${references(state, change)}
    ${small("Add a reference picture", () => intake.choose("reference"))}
    <div class="send-row"><button class="button" ?disabled=${isSending} title="Ctrl+Enter">${isSending ? "Sending" : "Draw"}</button>
      <span class="segments" role="group" aria-label="How many pictures">${[1, 2, 3, 4].map((images) => small(String(images), () => change({ images }), state.images === images))}</span></div>
    <p class="small ${wrong ? "wrong" : "muted"}" role="status">${wrong || said}</p>
  </form>`;
}

/** Pictures beside the words. @param {State} state @param {(part: Partial<State>) => void} change */
function references({ references }, change) {
  const as = (/** @type {Reference} */ one, /** @type {string} */ role) => change({ references: references.map((other) => (other === one ? { ...one, as: /** @type {Reference["as"]} */ (role) } : other)) });
  return html`<ul class="references" aria-label="Reference pictures">${references.map((one) => html`<li><img src=${smallOf(one.source)} alt="" width="40" height="40"><select aria-label="What it is for" @change=${(/** @type {Event} */ event) => as(one, typed(event))}>${choices(ROLES, one.as)}</select>${tool("Remove this reference", "close", () => change({ references: references.filter((other) => other !== one) }))}</li>`)}</ul>`;
}

/** @param {Desk} desk */
export function settings({ editor }) {
  const { state } = editor;
  const change = (/** @type {Partial<State>} */ part, kind = "") => editor.change({ ...editor.state, ...part }, kind);
  return html`<section aria-label="How it is drawn"><h2>How it is drawn</h2>
    ${range("Change", state.amount === null ? "as the model likes" : `${Math.round(state.amount * 100)} %`, Math.round((state.amount ?? 0.75) * 100), 100, (amount) => change({ amount: amount / 100 }, "amount"))}
    ${state.amount === null ? nothing : small("As the model likes", () => change({ amount: null }))}
    <label class="number"><span>Seed</span><input type="number" min="0" max="4294967295" placeholder="random" .value=${state.seed === null ? "" : String(state.seed)} @change=${(/** @type {Event} */ event) => change({ seed: typed(event) === "" ? null : Math.min(4294967295, Math.max(0, Math.floor(Number(typed(event))))) })}></label>
    ${toggle("Keep every pixel outside", state.keep_seam, (keep_seam) => change({ keep_seam }))}
    ${toggle("Keep shapes, change the look", state.keep_structure, (keep_structure) => change({ keep_structure }))}
  </section>`;
}

/** @param {Desk} desk */
export function mask({ editor, covered }) {
  const px = Math.min(128, Math.max(1, Math.round(Math.max(editor.state.width, editor.state.height) / 128)));
  return html`<section aria-label="Mask"><h2>Mask <span class="muted" role="status">covers ${covered === 0 || covered >= 1 ? Math.round(covered) : covered.toFixed(1)} %</span></h2>
    <div class="job-actions">${small("Invert", () => editor.paint({ tool: "invert" }))}${small("Grow", () => editor.paint({ tool: "grow", px }))}${small("Shrink", () => editor.paint({ tool: "shrink", px }))}${small("All", () => editor.paint({ tool: "rect", value: 1, box: [0, 0, editor.state.width, editor.state.height] }))}${small("Clear", () => editor.clear())}</div>
    <div class="job-actions" role="group" aria-label="To a layer of its own">${small("Copy to a layer", () => editor.cutOut(false))}${small("Cut out and fill the hole", () => editor.cutOut(true))}</div>
    <details><summary>Numbered fields</summary><div class="fields" role="group" aria-label="Paint a field, or take it away">${FIELDS_OF.map((n) => html`<button class="button quiet small" type="button" aria-label="Field ${n}" @click=${() => editor.field(n)}>${n}</button>`)}</div></details>
  </section>`;
}

/** @param {Desk} desk */
export function canvas({ editor }) {
  const { width, height } = editor.state;
  const to = (/** @type {number} */ w, /** @type {number} */ h) => editor.setCanvas((w - editor.state.width) / 2, (h - editor.state.height) / 2, w, h);
  const shape = (/** @type {number} */ a, /** @type {number} */ b) => {
    const grown = Math.max(width / a, height / b);
    const scale = Math.min(1, MOST_SIDE / (grown * Math.max(a, b)));
    to(Math.round(grown * scale * a), Math.round(grown * scale * b));
  };
  const side = Math.round(Math.min(width, height) / 4);
  const room = (/** @type {string} */ label, /** @type {[number, number, number, number]} */ [l, t, w, h]) => small(label, () => editor.setCanvas(l, t, width + w, height + h));
  return html`<section aria-label="Canvas"><h2>Canvas</h2>
    <div class="numbers">${number("Width", width, (w) => to(w, editor.state.height), { min: 64, max: MOST_SIDE })}${number("Height", height, (h) => to(editor.state.width, h), { min: 64, max: MOST_SIDE })}</div>
    <div class="job-actions" role="group" aria-label="Extend">${room("← Left", [side, 0, side, 0])}${room("Right →", [0, 0, side, 0])}${room("↑ Up", [0, side, 0, side])}${room("Down ↓", [0, 0, 0, side])}${small("Zoom out 1.5×", () => to(Math.min(MOST_SIDE, width * 1.5), Math.min(MOST_SIDE, height * 1.5)))}${small("Zoom out 2×", () => to(Math.min(MOST_SIDE, width * 2), Math.min(MOST_SIDE, height * 2)))}</div>
    <div class="job-actions" role="group" aria-label="Shape">${SHAPES.map(([a, b]) => small(`${a}:${b}`, () => shape(a, b), Math.abs(width / height - a / b) < 0.01))}</div>
  </section>`;
}

/** @param {Desk} desk */
export function layers({ editor, intake }) {
  const { state } = editor;
  const set = (/** @type {Layer} */ one, /** @type {Partial<Layer>} */ part, kind = "") => editor.change(withLayer(editor.state, one.id, part), kind && `${kind} ${one.id}`);
  const name = (/** @type {Layer} */ one) => one.name || (one.id === "base" ? "Picture" : "Layer");
  const remove = (/** @type {Layer} */ one) => {
    const rest = editor.state.layers.filter(({ id }) => id !== one.id);
    if (rest.length) editor.change({ ...editor.state, layers: rest });
  };
  const row = (/** @type {Layer} */ one) => html`<li class="layer" aria-current=${one.id === editor.selected}>
    <button class="layer-name" type="button" aria-pressed=${one.id === editor.selected} @click=${() => editor.select(one.id)}><img src=${editor.thumbs.of(one)} alt="" width="36" height="36"><span>${name(one)}</span></button>
    ${tool(one.visible ? `Hide ${name(one)}` : `Show ${name(one)}`, one.visible ? "eye" : "hidden", () => set(one, { visible: !one.visible }))}
    ${tool(`Raise ${name(one)}`, "up", () => editor.change(raised(editor.state, one.id, 1)), one === state.layers.at(-1))}
    ${tool(`Lower ${name(one)}`, "down", () => editor.change(raised(editor.state, one.id, -1)), one === state.layers[0])}
    ${tool(`Remove ${name(one)}`, "close", () => remove(one), state.layers.length === 1)}
  </li>`;
  const { layer: chosen } = editor;
  return html`<section aria-label="Layers"><h2>Layers</h2>
    <ul class="layers">${repeat([...state.layers].reverse(), ({ id }) => id, row)}</ul>
    ${chosen ? html`<div class="numbers">${number("X", chosen.x, (x) => set(chosen, { x }))}${number("Y", chosen.y, (y) => set(chosen, { y }))}${number("Scale, %", Number((chosen.scale * 100).toFixed(2)), (scale) => set(chosen, { scale: scale / 100 }), { min: 1, max: 6400, step: 0.01 })}</div>
      ${range("Opacity", `${Math.round(chosen.opacity * 100)} %`, Math.round(chosen.opacity * 100), 100, (opacity) => set(chosen, { opacity: opacity / 100 }, "opacity"))}` : nothing}
    ${small("Add a picture", () => intake.choose("layer"))}
  </section>`;
}

/** Every step that can be undone or redone, the last done first; only as long as somebody looks. @param {Desk} desk */
export function history({ editor }) {
  const open = async (/** @type {Event} */ event) => {
    const isOpen = /** @type {HTMLDetailsElement} */ (event.target).open;
    editor.set({ stepsOf: isOpen ? (await import("./steps.js")).stepsOf : null });
  };
  const step = (/** @type {{name: string, away: number}} */ { name, away }) => html`<li><button class="step" type="button" aria-current=${away === 0 ? "step" : nothing} @click=${() => editor.jump(away)}>${away > 0 ? html`<span class="sr">Undone: </span>` : nothing}${name}</button></li>`;
  const isNone = !editor.history.past.length;
  return html`<section aria-label="History"><details @toggle=${(/** @type {Event} */ event) => open(event).catch(complain)}><summary><h2>History <span class="muted">${counted(editor.history.past.length, "step")}</span></h2></summary>
    ${editor.stepsOf ? html`<ol class="steps" aria-label="Steps, the last first">${editor.stepsOf(editor.history).reverse().map(step)}<li><button class="step" type="button" aria-current=${isNone ? "step" : nothing} @click=${() => editor.jump(-editor.history.past.length)}>As it was opened</button></li></ol>` : nothing}
  </details></section>`;
}
