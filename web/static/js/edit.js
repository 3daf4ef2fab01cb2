// The editor's page: what the server gave, the panels around the stage, the keys, and where it is kept.
import { html, render } from "../vendor/lit-html/lit-html.js";
import { change as send } from "./core/api.js";
import { element, oncePerFrame, pageData } from "./core/page.js";
import { plain } from "./core/text.js";
import { complain, toast } from "./core/toasts.js";
import { startPage } from "./parts/shell.js";
import { fresh, written } from "../editor/document.js";
import { Editor } from "../editor/editor.js";
import { Intake } from "../editor/intake.js";
import { listen } from "../editor/keys.js";
import * as panel from "../editor/panel.js";
import { Naming } from "../editor/naming.js";
import { Results } from "../editor/results.js";
import { read, Saving, sendFiles, textOf } from "../editor/save.js";

/** @import {State} from "../editor/document.js" */

const SOON = 150; // ms until the mask's pixels are counted
const QUIET = 700; // ms without a change until the server is asked what would be drawn
const NOTHING = "Paint what is to be drawn anew, make the canvas larger, or say what should be different.";
const NOT_SENT = "0".repeat(64); // instead of a mask that the server hasn't got

const data = /** @type ({job: string, n: number, width: number, height: number} | {id: string}) & {asks: boolean}} */ (pageData());
const place = (/** @type {string} */ id) => element(id, HTMLElement);
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
  const saving = new Saving("id" in data ? data.id : location.pathname, () => editor.state, (state) => editor.open(state), (said, isBad) => {
    place("saved").textContent = said;
    place("saved").classList.toggle("bad", isBad);
  });
  const stored = "id" in data ? await read(data.id) : null;
  const kept = await saving.kept();
  if (stored) Object.assign(saving, { id: stored.id, version: stored.version, sent: stored.state });
  const own = "n" in data ? fresh({ job: data.job, n: data.n }, data.width, data.height) : null;
  if (!kept) return { saving, state: stored?.state ?? /** @type {State} */ (own) };
  const theirs = stored && textOf(stored.state);
  if (theirs === kept.text && stored) return { saving, state: stored.state };
  saving.tried = kept.tried;
  if (theirs && !saving.tried.includes(theirs)) saving.version = kept.version; // somebody else's, then
  if (!stored) toast("Your last changes are back", { press: { label: "Start anew", work: () => own && editor.open(own) } });
  return { saving, state: kept.state, isBack: true };
}

/** @type {import("../editor/asking.js").Asking | null} only where the studio answers questions */
let asking = null;
const { saving, state, isBack = false } = await opened();
const parts = { stage: place("stage"), picture: element("picture", HTMLCanvasElement), overlay: element("overlay", HTMLCanvasElement), marks: element("marks", SVGSVGElement) };
export const editor = new Editor(parts, state, changed);
const intake = new Intake(editor, element("file", HTMLInputElement));
if (isBack) saving.changed();
const naming = new Naming(element("name", HTMLInputElement), place("name-problem"), saving, () => parts.stage.focus());
const results = new Results(editor, place("results"), () => draw());
const draw = oncePerFrame(() => {
  const desk = { editor, ...looked, isSending: results.isSending, send: () => results.send(), intake, covered };
  render(panel.head(editor), place("head-tools"));
  render(panel.tools(editor), place("tools"));
  render(panel.options(editor), place("options"));
  render(panel.notice(editor), place("notice"));
  render(panel.ask(desk), place("ask"));
  render(html`${panel.mask(desk)}${panel.canvas(desk)}${panel.layers(desk)}${panel.settings(desk)}${panel.history(desk)}`, place("more"));
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
  quiet = setTimeout(() => look().catch(() => {}), QUIET);
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
    const found = /** @type {{said: string, seam: number | null}} */ (await send("POST", "/api/edits/look", { document: written(state, NOT_SENT) }));
    looked.said = plain(found.said);
    seam = found.seam ?? 0;
  } catch (error) {
    Object.assign(looked, { said: "", wrong: error instanceof Error ? plain(error.message) : "" });
  } finally {
    const seams = seam && editor.state.layers.length > 1 ? await import("../editor/seam.js").catch(complain) : null;
    [editor.seam, editor.band] = [seam, seams ? seams.bandOf(editor, seam) : null];
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
listen(editor, {
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
editor.load().catch(complain);
if (data.asks) {
  import("../editor/asking.js").then(({ Asking }) => {
    asking = new Asking(editor, place("asking"));
    results.other = asking;
  }).catch(complain);
}
