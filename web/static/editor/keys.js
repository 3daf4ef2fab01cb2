// The keyboard on the stage: a cursor that paints, and a letter for every tool. Letters can be switched off.
import { isField, lettersOn } from "../js/core/shortcuts.js";
import { say } from "../js/core/toasts.js";
import { TOOLS } from "./tools.js";

/** @import {Editor} from "./editor.js" */
/** @import {Gesture, Point} from "./pointers.js" */

/** @typedef {Record<string, (event: KeyboardEvent) => void>} Work  by KeyboardEvent.key; letters only while the stage has the focus */

const WAYS = /** @type {Record<string, [number, number]>} */ ({ ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] });
const QUIET = 500; // ms without a step until the cursor's place is said

/** @param {Editor} editor @param {Work} more */
export function listen(editor, more) {
  const { stage } = editor.parts;
  const cursor = new Cursor(editor);
  /** @type {Work} */
  const letters = { ...Object.fromEntries(TOOLS.map(({ id, key }) => [key, () => editor.take(id)])), ...more };
  stage.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.target !== stage) return;
    const isDone = cursor.key(event) || (event.key.length > 1 || lettersOn() ? press(letters, event) : false);
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
function press(work, event) {
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
    const way = WAYS[event.key];
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
    this.quiet = setTimeout(() => say(`${Math.floor(next.x)}, ${Math.floor(next.y)}`), QUIET);
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
    if (this.down) say("Down");
  }

  #lift() {
    const { down } = this;
    this.down = null;
    down?.up();
    if (down) say("Up");
  }
}
