// The editor's page: what the server gave, the panels around the stage, the keys, pictures that come in, and the document's name.
import { nothing, render } from "../vendor/lit-html/lit-html.js";
import { fetchJson, sendJson, upload } from "../js/core/api.js";
import { elementOf, icon, isField, lettersOn, oncePerFrame, pageData, Rows, startPage, takeChosen } from "../js/core/page.js";
import { announce, countOf, html, plainText, showError, showToast, t } from "../js/core/text.js";
import { documentText, isSameDocument, MOST_SIDE, newDocument, readDocument, Saving, sendFiles, smallOf, stepsOf, withLayer, withRaised, writeDocument } from "./document.js";
import { Editor, FIELDS, HOW, MARKS, PAINTS, TOOLS, WAYS } from "./editor.js";
import { Asking, Results } from "./results.js";
import { bandOf } from "./screen.js";

/** @import {TemplateResult} from "../vendor/lit-html/lit-html.js" */
/** @import {Layer, Reference, Source, State} from "./document.js" */
/** @import {Gesture, Point} from "./editor.js" */

// What stands around the stage: tools, their settings, words, mask, canvas, layers. Drawn from the editor's state.

/** What the panels need beside the editor. @typedef {{editor: Editor, said: string, wrong: string, isSending: boolean, send: () => void, intake: Intake, covered: number, rows: Rows<Layer>}} Desk */

const SHAPES = /** @type {[number, number][]} */ ([[1, 1], [4, 5], [2, 3], [9, 16], [5, 4], [3, 2], [16, 9]]);
const FIELDS_OF = Array.from({ length: FIELDS * FIELDS }, (_, at) => at + 1);
const LARGEST = 9; // doublings of the brush from 1 px
const ROLES = { style: t("Style"), character: t("Character"), thing: t("Object") };

/** @param {Event} event */
const typed = (event) => /** @type {HTMLInputElement} */ (event.target).value;

/** @param {string} label @param {string} name @param {() => void} work @param {boolean} [isOff] @param {string} [keys] */
const toolButton = (label, name, work, isOff = false, keys = "") =>
  html`<button class="icon-button" type="button" title=${keys ? `${label} (${keys})` : label} aria-label=${label} aria-disabled=${isOff} @click=${() => isOff || work()}>${icon(name)}</button>`;

/** @param {string} label @param {() => void} work @param {boolean | null} [isOn] */
const smallButton = (label, work, isOn = null) => html`<button class="button quiet small" type="button" aria-pressed=${isOn ?? nothing} @click=${work}>${label}</button>`;

/** @param {string} label @param {number} value @param {(value: number) => void} set @param {{min?: number, max?: number, step?: number}} [range] */
const numberField = (label, value, set, { min = -16384, max = 16384, step = 1 } = {}) =>
  html`<label class="number"><span>${label}</span><input type="number" min=${min} max=${max} step=${step} .value=${String(value)} @change=${(/** @type {Event} */ event) => {
    const found = Number(typed(event));
    if (typed(event) !== "" && found >= min && found <= max) set(found);
    else /** @type {HTMLInputElement} */ (event.target).value = String(value);
  }}></label>`;

/** @param {string} label @param {string} shown @param {number} value @param {number} max @param {(value: number) => void} set @param {number} [step] */
const rangeField = (label, shown, value, max, set, step = 1) =>
  html`<label class="range"><span>${label}</span><span class="value" aria-hidden="true">${shown}</span><input type="range" aria-label=${label} aria-valuetext=${shown} min="0" max=${max} step=${step} .value=${String(value)} @input=${(/** @type {Event} */ event) => set(Number(typed(event)))}></label>`;

/** @param {Record<string, string>} all @param {string} chosen */
const choices = (all, chosen) => Object.entries(all).map(([id, label]) => html`<option value=${id} ?selected=${id === chosen}>${label}</option>`);

/** @param {string} label @param {boolean} isOn @param {(isOn: boolean) => void} set */
const switchField = (label, isOn, set) =>
  html`<label class="toggle"><span>${label}</span><input class="switch" type="checkbox" role="switch" .checked=${isOn} @change=${(/** @type {Event} */ event) => set(/** @type {HTMLInputElement} */ (event.target).checked)}></label>`;

/** Tab stops at the tool in hand, arrows go on from it. @param {Editor} editor */
const toolsPanel = (editor) =>
  TOOLS.map(({ id, key, label, icon: name, help }) => html`<button class="icon-button" type="button" tabindex=${editor.tool === id ? 0 : -1} title="${label} (${key.toUpperCase()}): ${help}" aria-label=${label} aria-pressed=${editor.tool === id} @click=${() => editor.take(id)}>${icon(name)}</button>`);

const STEPS = /** @type {Record<string, number>} */ ({ ArrowUp: -1, ArrowLeft: -1, ArrowDown: 1, ArrowRight: 1, Home: -TOOLS.length, End: TOOLS.length });

/** @param {KeyboardEvent} event  in the tools */
function stepAmongTools(event) {
  const tools = [...document.querySelectorAll("#tools button")];
  const at = tools.findIndex((one) => one === document.activeElement);
  const step = STEPS[event.key];
  if (at < 0 || !step || event.ctrlKey || event.altKey || event.metaKey) return;
  event.preventDefault();
  event.stopPropagation(); // of the canvas, which they would move about
  const to = Math.abs(step) === 1 ? (at + step + tools.length) % tools.length : Math.max(0, Math.min(tools.length - 1, at + step));
  /** @type {HTMLElement} */ (tools[to]).focus();
}

/** @param {Editor} editor */
const headPanel = (editor) => html`${toolButton(t("Undo"), "undo", () => editor.undo(), !editor.history.past.length, "Ctrl+Z")}${toolButton(t("Redo"), "redo", () => editor.redo(), !editor.history.future.length, "Ctrl+Shift+Z")}
  <span class="zooms">${toolButton(t("Zoom out"), "minus", () => editor.zoom(0.8), false, "-")}<output>${Math.round((editor.view.scale / editor.view.density) * 100)} %</output>${toolButton(t("Zoom in"), "plus", () => editor.zoom(1.25), false, "+")}</span>
  ${toolButton(t("Show the whole canvas"), "fit", () => editor.fit(), false, "F")}`;

/** The settings of the tool in hand. @param {Editor} editor @returns {TemplateResult} */
function optionsPanel(editor) {
  const { tool: id } = editor;
  if (id === "pick") return pickingOptions(editor);
  const { help } = TOOLS.find((one) => one.id === id) ?? { help: "" };
  const value = html`<span class="segments" role="group" aria-label="What it does">${smallButton(id === "restore" ? t("Restore") : t("Paint"), () => editor.set({ value: 1 }), editor.value === 1)}${smallButton(id === "restore" ? t("Erase") : t("Subtract"), () => editor.set({ value: 0 }), editor.value === 0)}</span>`;
  const size = rangeField(t("Size"), `${Math.round(editor.size)} px`, Math.log2(editor.size), LARGEST + 3, (exponent) => editor.set({ size: Math.round(2 ** exponent) }), 0.1);
  const tolerance = rangeField(t("Tolerance"), String(editor.tolerance), editor.tolerance, 128, (found) => editor.set({ tolerance: found }));
  return html`${PAINTS.includes(id) ? size : nothing}${id === "wand" ? tolerance : nothing}${MARKS.includes(id) ? value : nothing}
    ${editor.shape ? html`<span class="segments">${smallButton(t("Done"), () => editor.finish())}${smallButton(t("Discard"), () => editor.drop())}</span>` : html`<p class="muted small help">${help}</p>`}`;
}

/** @param {Editor} editor */
function pickingOptions({ picking }) {
  const { can, how, way, isOpen, said } = picking;
  const find = (/** @type {SubmitEvent} */ event) => {
    event.preventDefault();
    const field = /** @type {HTMLFormElement} */ (event.target).elements.namedItem("object");
    picking.words(/** @type {HTMLInputElement} */ (field).value);
  };
  return html`${can?.words ? html`<form class="object" @submit=${find}><input class="field" name="object" aria-label="The object to pick, in words" placeholder="The red boat" maxlength="80" autocomplete="off"><button class="button quiet small">Find</button></form>` : nothing}
    ${can?.points ? html`<select class="field" aria-label="What is pressed next" .value=${way} ?disabled=${!isOpen} @change=${(/** @type {Event} */ event) => picking.set({ way: /** @type {keyof typeof WAYS} */ (typed(event)) })}>${choices(WAYS, way)}</select>` : nothing}
    ${can?.points || can?.words ? html`<select class="field" aria-label="What becomes of the mask" @change=${(/** @type {Event} */ event) => picking.set({ how: /** @type {keyof typeof HOW} */ (typed(event)) })}>${choices(HOW, how)}</select>` : nothing}
    <p class="muted small help">${said}</p>`;
}

/** What lies over the stage: that something is looked for, or why it wasn't found. @param {Editor} editor */
function noticePanel({ tool: id, picking }) {
  if (id !== "pick") return nothing;
  if (picking.now) return html`<progress aria-label="Looking"></progress><span class="sr">${picking.can ? t("Looking") : t("Getting ready")}</span>`;
  return picking.trouble ? html`<p>${picking.trouble}</p>${picking.can ? nothing : smallButton(t("Try again"), () => picking.ready())}` : nothing;
}

// What a control changes is the document as it is then: several changes may come before the panels are drawn again.

/** @param {Desk} desk */
function wordsPanel({ editor, said, wrong, isSending, send, intake }) {
  const { state } = editor;
  const change = (/** @type {Partial<State>} */ part, kind = "") => editor.change({ ...editor.state, ...part }, kind);
  return html`<form class="words-form" @submit=${(/** @type {Event} */ event) => (event.preventDefault(), send())}>
    <label class="stacked"><span>Words</span><textarea class="field" id="words" rows="3" maxlength="4000" placeholder="What should be there? Empty: the picture's own words" .value=${state.words} @input=${(/** @type {Event} */ event) => change({ words: typed(event) }, "words")} @change=${() => editor.settle()} @keydown=${(/** @type {KeyboardEvent} */ event) => event.key === "Escape" && !event.isComposing && editor.parts.stage.focus()}></textarea></label>
    ${referenceList(state, change)}
    ${smallButton(t("Add a reference picture"), () => intake.choose("reference"))}
    <div class="send-row"><button class="button" ?disabled=${isSending} title="Ctrl+Enter">${isSending ? t("Sending") : t("Draw")}</button>
      <span class="segments" role="group" aria-label="How many pictures">${[1, 2, 3, 4].map((images) => smallButton(String(images), () => change({ images }), state.images === images))}</span></div>
    <p class="small ${wrong ? "wrong" : "muted"}" role="status">${wrong || said}</p>
  </form>`;
}

/** Pictures beside the words. @param {State} state @param {(part: Partial<State>) => void} change */
function referenceList({ references }, change) {
  const as = (/** @type {Reference} */ one, /** @type {string} */ role) => change({ references: references.map((other) => (other === one ? { ...one, as: /** @type {Reference["as"]} */ (role) } : other)) });
  return html`<ul class="references" aria-label="Reference pictures">${references.map((one) => html`<li><img src=${smallOf(one.source)} alt="" width="40" height="40"><select aria-label="What it is for" @change=${(/** @type {Event} */ event) => as(one, typed(event))}>${choices(ROLES, one.as)}</select>${toolButton(t("Remove this reference"), "close", () => change({ references: references.filter((other) => other !== one) }))}</li>`)}</ul>`;
}

/** @param {Desk} desk */
function settingsPanel({ editor }) {
  const { state } = editor;
  const change = (/** @type {Partial<State>} */ part, kind = "") => editor.change({ ...editor.state, ...part }, kind);
  return html`<section aria-label="How it is drawn"><h2>How it is drawn</h2>
    ${rangeField(t("Change"), state.amount === null ? t("as the model likes") : `${Math.round(state.amount * 100)} %`, Math.round((state.amount ?? 0.75) * 100), 100, (amount) => change({ amount: amount / 100 }, "amount"))}
    ${state.amount === null ? nothing : smallButton(t("As the model likes"), () => change({ amount: null }))}
    <label class="number"><span>Seed</span><input type="number" min="0" max="4294967295" placeholder="random" .value=${state.seed === null ? "" : String(state.seed)} @change=${(/** @type {Event} */ event) => change({ seed: typed(event) === "" ? null : Math.min(4294967295, Math.max(0, Math.floor(Number(typed(event))))) })}></label>
    ${switchField(t("Keep every pixel outside"), state.keep_seam, (keep_seam) => change({ keep_seam }))}
    ${switchField(t("Keep shapes, change the look"), state.keep_structure, (keep_structure) => change({ keep_structure }))}
  </section>`;
}

/** @param {Desk} desk */
function maskPanel({ editor, covered }) {
  const px = Math.min(128, Math.max(1, Math.round(Math.max(editor.state.width, editor.state.height) / 128)));
  return html`<section aria-label="Mask"><h2>Mask <span class="muted" role="status">covers ${covered === 0 || covered >= 1 ? Math.round(covered) : covered.toFixed(1)} %</span></h2>
    <div class="job-actions">${smallButton(t("Invert"), () => editor.paint({ tool: "invert" }))}${smallButton(t("Grow"), () => editor.paint({ tool: "grow", px }))}${smallButton(t("Shrink"), () => editor.paint({ tool: "shrink", px }))}${smallButton(t("All"), () => editor.paint({ tool: "rect", value: 1, box: [0, 0, editor.state.width, editor.state.height] }))}${smallButton(t("Clear"), () => editor.clear())}</div>
    <div class="job-actions" role="group" aria-label="To a layer of its own">${smallButton(t("Copy to a layer"), () => editor.cutOut(false))}${smallButton(t("Cut out and fill the hole"), () => editor.cutOut(true))}</div>
    <details><summary>Numbered fields</summary><div class="fields" role="group" aria-label="Paint a field, or clear it">${FIELDS_OF.map((n) => html`<button class="button quiet small" type="button" aria-label="Field ${n}" @click=${() => editor.field(n)}>${n}</button>`)}</div></details>
  </section>`;
}

/** @param {Desk} desk */
function canvasPanel({ editor }) {
  const { width, height } = editor.state;
  const to = (/** @type {number} */ w, /** @type {number} */ h) => editor.setCanvas((w - editor.state.width) / 2, (h - editor.state.height) / 2, w, h);
  const shape = (/** @type {number} */ a, /** @type {number} */ b) => {
    const grown = Math.max(width / a, height / b);
    const scale = Math.min(1, MOST_SIDE / (grown * Math.max(a, b)));
    to(Math.round(grown * scale * a), Math.round(grown * scale * b));
  };
  const side = Math.round(Math.min(width, height) / 4);
  const room = (/** @type {string} */ label, /** @type {[number, number, number, number]} */ [l, t, w, h]) => smallButton(label, () => editor.setCanvas(l, t, width + w, height + h));
  return html`<section aria-label="Canvas"><h2>Canvas</h2>
    <div class="numbers">${numberField(t("Width"), width, (w) => to(w, editor.state.height), { min: 64, max: MOST_SIDE })}${numberField(t("Height"), height, (h) => to(editor.state.width, h), { min: 64, max: MOST_SIDE })}</div>
    <div class="job-actions" role="group" aria-label="Extend">${room("← Left", [side, 0, side, 0])}${room("Right →", [0, 0, side, 0])}${room("↑ Up", [0, side, 0, side])}${room("Down ↓", [0, 0, 0, side])}${smallButton(t("Zoom out 1.5×"), () => to(Math.min(MOST_SIDE, width * 1.5), Math.min(MOST_SIDE, height * 1.5)))}${smallButton(t("Zoom out 2×"), () => to(Math.min(MOST_SIDE, width * 2), Math.min(MOST_SIDE, height * 2)))}</div>
    <div class="job-actions" role="group" aria-label="Shape">${SHAPES.map(([a, b]) => smallButton(`${a}:${b}`, () => shape(a, b), Math.abs(width / height - a / b) < 0.01))}</div>
  </section>`;
}

/** @param {Editor} editor @param {Layer} one @param {Partial<Layer>} part @param {string} [kind] */
const changeLayer = (editor, one, part, kind) => editor.change(withLayer(editor.state, one.id, part), kind && `${kind} ${one.id}`);

/** The list of layers, which the panel of layers draws. @param {Editor} editor @returns {Rows<Layer>} */
function layerRows(editor) {
  const remove = (/** @type {Layer} */ one) => {
    const rest = editor.state.layers.filter(({ id }) => id !== one.id);
    if (rest.length) editor.change({ ...editor.state, layers: rest });
  };
  const list = Object.assign(document.createElement("ul"), { className: "layers" });
  return new Rows(list, ({ id }) => id, (one) => {
    const { layers } = editor.state;
    const name = one.name || (one.id === "base" ? t("Picture") : t("Layer"));
    return html`<li class="layer" aria-current=${one.id === editor.selected}>
      <button class="layer-name" type="button" aria-pressed=${one.id === editor.selected} @click=${() => editor.select(one.id)}><img src=${editor.thumbs.of(one)} alt="" width="36" height="36"><span>${name}</span></button>
      ${toolButton(one.visible ? t("Hide {0}", name) : t("Show {0}", name), one.visible ? "eye" : "hidden", () => changeLayer(editor, one, { visible: !one.visible }))}
      ${toolButton(t("Raise {0}", name), "up", () => editor.change(withRaised(editor.state, one.id, 1)), one === layers.at(-1))}
      ${toolButton(t("Lower {0}", name), "down", () => editor.change(withRaised(editor.state, one.id, -1)), one === layers[0])}
      ${toolButton(t("Remove {0}", name), "close", () => remove(one), layers.length === 1)}
    </li>`;
  });
}

/** @param {Desk} desk */
function layersPanel({ editor, intake, rows }) {
  const { layer: chosen } = editor;
  const set = (/** @type {Partial<Layer>} */ part, kind = "") => chosen && changeLayer(editor, chosen, part, kind);
  rows.draw([...editor.state.layers].reverse());
  return html`<section aria-label="Layers"><h2>Layers</h2>
    ${rows.place}
    ${chosen ? html`<div class="numbers">${numberField("X", chosen.x, (x) => set({ x }))}${numberField("Y", chosen.y, (y) => set({ y }))}${numberField("Scale, %", Number((chosen.scale * 100).toFixed(2)), (scale) => set({ scale: scale / 100 }), { min: 1, max: 6400, step: 0.01 })}</div>
      ${rangeField(t("Opacity"), `${Math.round(chosen.opacity * 100)} %`, Math.round(chosen.opacity * 100), 100, (opacity) => set({ opacity: opacity / 100 }, "opacity"))}` : nothing}
    ${smallButton(t("Add a picture"), () => intake.choose("layer"))}
  </section>`;
}

/** Every step that can be undone or redone, the last done first; only as long as somebody looks. @param {Desk} desk */
function historyPanel({ editor }) {
  const open = (/** @type {Event} */ event) => editor.set({ showsSteps: /** @type {HTMLDetailsElement} */ (event.target).open });
  const step = (/** @type {{name: string, away: number}} */ { name, away }) => html`<li><button class="step" type="button" aria-current=${away === 0 ? "step" : nothing} @click=${() => editor.jump(away)}>${away > 0 ? html`<span class="sr">Undone: </span>` : nothing}${name}</button></li>`;
  const isNone = !editor.history.past.length;
  return html`<section aria-label="History"><details @toggle=${open}><summary><h2>History <span class="muted">${countOf(editor.history.past.length, "step")}</span></h2></summary>
    ${editor.showsSteps ? html`<ol class="steps" aria-label="Steps, the last first">${stepsOf(editor.history).reverse().map(step)}<li><button class="step" type="button" aria-current=${isNone ? "step" : nothing} @click=${() => editor.jump(-editor.history.past.length)}>As it was opened</button></li></ol>` : nothing}
  </details></section>`;
}

// The keyboard on the stage: a cursor that paints, and a letter for every tool. Letters can be switched off.

/** @typedef {Record<string, (event: KeyboardEvent) => void>} Work  by KeyboardEvent.key; letters only while the stage has the focus */

const ARROWS = /** @type {Record<string, [number, number]>} */ ({ ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] });
const QUIET = 500; // ms without a step until the cursor's place is said

/** @param {Editor} editor @param {Work} more */
function listenToKeys(editor, more) {
  const { stage } = editor.parts;
  const cursor = new Cursor(editor);
  /** @type {Work} */
  const letters = { ...Object.fromEntries(TOOLS.map(({ id, key }) => [key, () => editor.take(id)])), ...more };
  stage.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.target !== stage) return;
    const isDone = cursor.key(event) || (event.key.length > 1 || lettersOn() ? pressKey(letters, event) : false);
    if (isDone) event.preventDefault();
  });
  stage.addEventListener("keyup", (event) => {
    if (event.key === " ") editor.hold(false);
    if (event.key === "\\") more["\\up"]?.(event);
  });
  stage.addEventListener("focus", () => stage.matches(":focus-visible") && cursor.show());
  stage.addEventListener("blur", () => cursor.hide());
  document.addEventListener("keydown", (event) => {
    if (!(event.ctrlKey || event.metaKey) || event.altKey || document.querySelector("dialog[open]")) return;
    const key = `Ctrl+${event.shiftKey ? "Shift+" : ""}${event.key.toLowerCase()}`;
    if ((isField(event.target) && event.key !== "Enter") || !more[key]) return;
    event.preventDefault();
    more[key]?.(event);
  });
}

/** @param {Work} work @param {KeyboardEvent} event */
function pressKey(work, event) {
  const found = work[event.shiftKey && event.key.length === 1 ? event.key : event.key.toLowerCase()] ?? work[event.key];
  found?.(event);
  return Boolean(found);
}

/** Arrows move it, Space puts the tool down and lifts it, Enter ends, Escape takes back. */
class Cursor {
  /** @param {Editor} editor */
  constructor(editor) {
    this.editor = editor;
    /** @type {Gesture | null} */
    this.down = null;
    /** @type {ReturnType<typeof setTimeout> | undefined} */
    this.quiet = undefined;
  }

  show() {
    const { editor } = this;
    const [x, y] = editor.view.toDocument(editor.view.width / 2, editor.view.height / 2);
    const within = (/** @type {number} */ at, /** @type {number} */ side) => Math.floor(Math.min(side - 1, Math.max(0, at))) + 0.5;
    editor.cursor ??= { x: within(x, editor.state.width), y: within(y, editor.state.height), pressure: 1 };
    editor.mark();
  }

  hide() {
    this.#lift();
    this.editor.cursor = null;
    this.editor.mark();
  }

  /** @param {KeyboardEvent} event @returns {boolean} whether it was for the cursor */
  key(event) {
    const way = ARROWS[event.key];
    if (way) return this.#step(way, event), true;
    if (event.key === " ") return this.#space(event), true;
    if (event.key === "Enter" && (this.down || this.editor.shape)) return this.#lift(), this.editor.finish(), true;
    if (event.key !== "Escape") return false;
    const { down } = this;
    this.down = null;
    down?.cancel();
    return this.editor.pointers.cancel() || this.editor.drop() || down !== null;
  }

  /** @param {[number, number]} way @param {KeyboardEvent} event */
  #step([dx, dy], event) {
    const { editor } = this;
    this.show();
    const { x, y } = /** @type {Point} */ (editor.cursor);
    const far = event.altKey ? Math.max(1, Math.round(editor.near(editor.view.width / editor.view.density / 10))) : event.shiftKey ? 10 : 1;
    const next = (editor.cursor = { x: x + dx * far, y: y + dy * far, pressure: 1 });
    if (this.down) this.down.move([next]);
    else if (editor.shape) editor.shape.end = next;
    this.#follow(next);
    clearTimeout(this.quiet);
    this.quiet = setTimeout(() => announce(`${Math.floor(next.x)}, ${Math.floor(next.y)}`), QUIET);
    editor.mark();
  }

  /** Keep it in sight. @param {Point} point */
  #follow({ x, y }) {
    const { view, state } = this.editor;
    const [u, v] = view.toScreen(x, y);
    const margin = 24 * view.density;
    const out = (/** @type {number} */ at, /** @type {number} */ side) => Math.min(0, side - margin - at) + Math.max(0, margin - at);
    if (!out(u, view.width) && !out(v, view.height)) return;
    view.pan(out(u, view.width), out(v, view.height), state);
    this.editor.look();
  }

  /** @param {KeyboardEvent} event */
  #space(event) {
    if (event.repeat) return;
    if (!this.editor.cursor && this.editor.hover) return this.editor.hold(true); // the mouse is there: the hand
    if (this.down) return this.#lift();
    this.show();
    const point = /** @type {Point} */ (this.editor.cursor);
    this.down = this.editor.gesture(false);
    this.editor.cursor = point;
    this.down?.down(point, event);
    if (this.down) announce(t("Down"));
  }

  #lift() {
    const { down } = this;
    this.down = null;
    down?.up();
    if (down) announce("Up");
  }
}

// The document's name, beside the tools: kept on the server, and no part of the document, so undo leaves it alone.

const UNSAVED = t("The document couldn't be saved, so it has no name yet. Press Enter to try again.");

class Naming {
  /**
   * @param {HTMLInputElement} field
   * @param {HTMLElement} problem  where to say what is wrong with a name
   * @param {Saving} saving
   * @param {() => void} leave  give the focus back to the canvas
   */
  constructor(field, problem, saving, leave) {
    this.field = field;
    this.problem = problem;
    this.saving = saving;
    this.name = field.value; // as the server has it
    /** @type {Promise<unknown>} one after the other */
    this.before = Promise.resolve();
    field.addEventListener("change", () => this.keep());
    field.addEventListener("keydown", async (event) => {
      if (event.key === "Escape") this.#reset();
      else if (event.key === "Enter" && !event.isComposing) await this.keep();
      else return;
      if (!this.isRefused) leave();
    });
    document.addEventListener("visibilitychange", () => document.visibilityState === "hidden" && saving.id !== null && this.keep());
  }

  get isRefused() {
    return this.problem.textContent !== "";
  }

  /** Go to the name, to type another. */
  edit() {
    this.field.focus();
    this.field.select();
  }

  /** Let the server have what is typed. */
  keep() {
    this.before = this.before.then(() => this.#keep()).catch((error) => this.#tell(error instanceof Error ? plainText(error.message) : String(error)));
    return this.before;
  }

  async #keep() {
    const name = this.field.value.replace(/\s+/g, " ").trim();
    if (name !== this.name) {
      if (this.saving.id === null) await this.saving.save();
      if (this.saving.id === null) throw new Error(UNSAVED);
      const headers = { "Content-Type": "application/json" };
      await fetchJson(`/api/documents/${this.saving.id}/name`, { method: "PUT", body: JSON.stringify({ name }), headers, keepalive: true }); // also when the page is gone
      this.name = name;
      announce(name ? t("The document is called {0}", name) : t("The document has no name"));
      document.title = t("Edit {0} · Atelier", name || t("a document"));
    }
    if (this.field.value.replace(/\s+/g, " ").trim() === name) this.#reset(); // nothing was typed meanwhile
  }

  #reset() {
    this.field.value = this.name;
    this.#tell("");
  }

  /** @param {string} problem */
  #tell(problem) {
    this.problem.textContent = problem;
    this.field.setAttribute("aria-invalid", String(problem !== ""));
  }
}

// Pictures that are given to the editor: dropped, pasted or chosen, as a layer or as a reference.

/** @typedef {"layer" | "reference"} As */

const OWN = /\/(?:pictures|files)\/([a-z2-9]{12})\/(\d{1,2})/; // a picture of the studio's
const MOST_REFERENCES = 10;

class Intake {
  /** @param {Editor} editor @param {HTMLInputElement} field  where files are chosen */
  constructor(editor, field) {
    this.editor = editor;
    this.field = field;
    this.as = /** @type {As} */ ("layer");
    /** @type {Promise<unknown>} the server takes one upload of a person at a time */
    this.before = Promise.resolve();
    takeChosen(field, (files) => this.files(files, this.as));
    document.addEventListener("paste", (event) => {
      const files = event.clipboardData?.files ?? [];
      if (!files.length) return;
      event.preventDefault();
      this.files(files, document.activeElement?.id === "words" ? "reference" : "layer");
    });
  }

  /** Let somebody choose files. @param {As} as */
  choose(as) {
    this.as = as;
    this.field.click();
  }

  /** Take what is dropped on a place. @param {HTMLElement} place @param {As} as */
  listen(place, as) {
    const isOver = (/** @type {boolean} */ is) => place.classList.toggle("dropping", is);
    place.addEventListener("dragover", (event) => {
      event.preventDefault();
      isOver(true);
    });
    place.addEventListener("dragleave", () => isOver(false));
    place.addEventListener("drop", (event) => {
      event.preventDefault();
      isOver(false);
      const at = as === "layer" ? this.editor.pointers.at(event) : undefined;
      const [, job, n] = OWN.exec(event.dataTransfer?.getData("text/uri-list") ?? "") ?? [];
      if (job && n) this.#take({ job, n: Number(n) }, t("Picture {0}", n), as, at).catch(showError);
      else this.files(event.dataTransfer?.files ?? [], as, at);
    });
  }

  /** @param {Iterable<File>} files @param {As} as @param {{x: number, y: number}} [at]  where to lay them */
  files(files, as, at) {
    for (const file of files) {
      if (!file.type.startsWith("image/")) {
        showError(t("{0} isn't a picture.", file.name));
        continue;
      }
      announce(t("Sending {0}", file.name));
      this.before = this.before.then(() => upload(file, file.name)).then(({ sha256 }) => this.#take({ upload: sha256 }, file.name, as, at)).catch(showError);
    }
  }

  /** @param {Source} source @param {string} name @param {As} as @param {{x: number, y: number}} [at] */
  async #take(source, name, as, at) {
    const { editor } = this;
    const { references } = editor.state;
    if (as === "layer") await editor.add(source, name, at);
    else if (references.length >= MOST_REFERENCES) throw new Error(t("There are {0} references already. Remove one first.", MOST_REFERENCES));
    else editor.change({ ...editor.state, references: [...references, { source, as: "style" }] });
    announce(as === "layer" ? t("{0} is a layer", name) : t("{0} is a reference", name));
  }
}

// The page itself

const SOON = 150; // ms until the mask's pixels are counted
const LOOK_QUIET = 700; // ms without a change until the server is asked what would be drawn
const NOTHING = t("Paint what to redraw, make the canvas larger, or say what to change.");
const NOT_SENT = "0".repeat(64); // instead of a mask that the server hasn't got

const data = /** @type ({job: string, n: number, width: number, height: number} | {id: string}) & {asks: boolean}} */ (pageData());
const place = (/** @type {string} */ id) => elementOf(id, HTMLElement);
const looked = { said: "", wrong: "" };
/** @type {ReturnType<typeof setTimeout> | undefined} */
let quiet;
/** @type {ReturnType<typeof setTimeout> | undefined} */
let counting;
/** @type {State | null} */
let last = null;
let covered = 0;

/** What there is to edit: as this browser has it, if that is newer, else as the server has it. */
async function opened() {
  const saving = new Saving("id" in data ? data.id : location.pathname, () => editor.state, () => ({ ...editor.history.kept, run: results.run }), (state) => editor.open(state), (said, isBad) => {
    place("saved").textContent = said;
    place("saved").classList.toggle("bad", isBad);
  });
  const { state, isBack = false } = await found(saving);
  const work = await saving.lastWork();
  const isSame = work !== null && isSameDocument(work.present, state);
  if (isSame && saving.sent === state) saving.sent = work.present;
  return { saving, state: isSame ? work.present : state, isBack, work, isSame };
}

/** @param {Saving} saving @returns {Promise<{state: State, isBack?: boolean}>} */
async function found(saving) {
  const stored = "id" in data ? await readDocument(data.id) : null;
  const kept = await saving.kept();
  if (stored) Object.assign(saving, { id: stored.id, version: stored.version, sent: stored.state });
  const own = "n" in data ? newDocument({ job: data.job, n: data.n }, data.width, data.height) : null;
  if (!kept) return { state: stored?.state ?? /** @type {State} */ (own) };
  const theirs = stored && documentText(stored.state);
  if (theirs === kept.text && stored) return { state: stored.state };
  saving.tried = kept.tried;
  if (theirs && !saving.tried.includes(theirs)) saving.version = kept.version; // somebody else's, then
  if (!stored) showToast(t("Your last changes are back"), { press: { label: t("Start again"), work: () => own && editor.open(own) } });
  return { state: kept.state, isBack: true };
}

/** @type {Asking | null} only where the studio answers questions */
let asking = null;
const { saving, state, isBack, work, isSame } = await opened();
const parts = { stage: place("stage"), picture: elementOf("picture", HTMLCanvasElement), overlay: elementOf("overlay", HTMLCanvasElement), marks: elementOf("marks", SVGSVGElement) };
export const editor = new Editor(parts, state, changed);
saving.listen();
if (work) editor.history.resume(work, isSame);
const intake = new Intake(editor, elementOf("file", HTMLInputElement));
if (isBack) saving.changed();
const naming = new Naming(elementOf("name", HTMLInputElement), place("name-problem"), saving, () => parts.stage.focus());
place("tools").addEventListener("keydown", stepAmongTools);
const results = new Results(editor, place("results"), () => draw(), () => saving.keepWork());
const rows = layerRows(editor);
const draw = oncePerFrame(() => {
  const desk = { editor, ...looked, isSending: results.isSending, send: () => results.send(), intake, covered, rows };
  render(headPanel(editor), place("head-tools"));
  render(toolsPanel(editor), place("tools"));
  render(optionsPanel(editor), place("options"));
  render(noticePanel(editor), place("notice"));
  render(wordsPanel(desk), place("ask"));
  render(html`${maskPanel(desk)}${canvasPanel(desk)}${layersPanel(desk)}${settingsPanel(desk)}${historyPanel(desk)}`, place("more"));
  asking?.draw();
});

function changed() {
  draw();
  if (editor.state === last) return;
  const isNew = last !== null;
  last = editor.state;
  clearTimeout(counting);
  counting = setTimeout(count, SOON);
  clearTimeout(quiet);
  quiet = setTimeout(() => look().catch(() => {}), LOOK_QUIET);
  if (isNew) saving.changed();
}

function count() {
  covered = (editor.mask.count / editor.mask.bits.length) * 100;
  draw();
}

/** Ask what the document would become. */
async function look() {
  const { state } = editor;
  Object.assign(looked, { said: NOTHING, wrong: "" });
  let seam = 0;
  try {
    if (isIdle(state)) return;
    await sendFiles({ ...state, mask: { ...state.mask, base: null } }); // what layers are cut by is looked at, what is painted isn't
    const found = /** @type {{said: string, seam: number | null}} */ (await sendJson("POST", "/api/edits/look", { document: writeDocument(state, NOT_SENT) }));
    looked.said = plainText(found.said);
    seam = found.seam ?? 0;
  } catch (error) {
    Object.assign(looked, { said: "", wrong: error instanceof Error ? plainText(error.message) : "" });
  } finally {
    [editor.seam, editor.band] = [seam, bandOf(editor, seam)];
    editor.redraw();
    draw();
  }
}

/** Whether a document asks for nothing yet, so that nobody need be asked. @param {State} state */
function isIdle({ mask, layers: [one, ...others], words, amount, keep_structure, width, height }) {
  const size = one && editor.sizeOf(one);
  return !mask.base && !mask.strokes.length && !words && amount === null && !keep_structure && !others.length && one?.x === 0 && one.y === 0 && one.scale === 1 && !one.clip && size?.width === width && size.height === height;
}

intake.listen(parts.stage, "layer");
intake.listen(place("ask"), "reference");
const size = (/** @type {number} */ factor) => editor.set({ size: Math.min(4096, Math.max(1, factor > 1 ? Math.ceil(editor.size * factor) : Math.floor(editor.size * factor))) });
const show = (/** @type {number | null} */ n) => () => results.run && results.show(n);
listenToKeys(editor, {
  "[": () => size(0.8),
  "]": () => size(1.25),
  "+": () => editor.zoom(1.25),
  "=": () => editor.zoom(1.25),
  "-": () => editor.zoom(0.8),
  f: () => editor.fit(),
  z: () => editor.zoom(2, editor.cursor ?? editor.hover),
  Z: () => editor.zoom(0.5, editor.cursor ?? editor.hover),
  F2: () => naming.edit(),
  i: () => editor.paint({ tool: "invert" }),
  g: () => editor.paint({ tool: "grow", px: 4 }),
  G: () => editor.paint({ tool: "shrink", px: 4 }),
  j: () => editor.cutOut(false),
  J: () => editor.cutOut(true),
  a: () => asking?.focus(),
  x: () => editor.set({ value: editor.value ? 0 : 1 }),
  Delete: () => editor.clear(),
  "\\": () => results.hold(true),
  "\\up": () => results.hold(false),
  "0": show(null),
  "1": show(1),
  "2": show(2),
  "3": show(3),
  "4": show(4),
  "5": () => results.beside(),
  Escape: () => results.run && results.show(null),
  "Ctrl+z": () => editor.undo(),
  "Ctrl+Shift+z": () => editor.redo(),
  "Ctrl+y": () => editor.redo(),
  "Ctrl+enter": () => results.send(),
  "Ctrl+s": () => saving.save(),
});
startPage();
changed();
editor.load().catch(showError);
if (work?.run) results.resume(work.run).catch(showError);
if (data.asks) results.other = asking = new Asking(editor, place("asking"));
