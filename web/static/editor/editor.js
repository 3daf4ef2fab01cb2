// The editor: its tools and pointers, what lies above the mask, each way in which a person changes the document, and what is drawn
// when. It is one module, as all of it works on one state; and a page asks for twelve files at most.
import { nothing, render, svg } from "../vendor/lit-html/lit-html.js";
import { sendJson } from "../js/core/api.js";
import { oncePerFrame } from "../js/core/page.js";
import { announce, countOf, plainText, showError, t } from "../js/core/text.js";
import { addressOf, Brushing, Clips, commonMask, freeId, History, LEAST_SIDE, MOST_LAYERS, MOST_SIDE, newLayer, ontoCanvas, withCanvas, withCutOut, withLayer } from "./document.js";
import { decodePng, eighthsOf, floodFill, lassoStroke, Mask, radiusOf } from "./mask.js";
import { edgePixel, fieldOf, outlinedPixel, Overlay, Pictures, Thumbs, View } from "./screen.js";

/** @import {Base, Layer, Source, State} from "./document.js" */
/** @import {Box, Spot, Stroke} from "./mask.js" */
/** @import {Band, Named} from "./screen.js" */

// The tools: what each does with a pointer, or with the cursor of the keyboard, that is put down, moved and lifted.

/** @typedef {"brush" | "erase" | "rect" | "lasso" | "wand" | "pick" | "restore" | "move" | "canvas" | "hand"} Tool */

/** @type {{id: Tool, key: string, label: string, icon: string, help: string}[]} */
export const TOOLS = [
  { id: "brush", key: "b", label: t("Brush"), icon: "brush", help: t("Paint over what to redraw") },
  { id: "erase", key: "e", label: t("Eraser"), icon: "eraser", help: t("Erase paint") },
  { id: "rect", key: "r", label: t("Rectangle"), icon: "rect", help: t("Drag, or press two corners") },
  { id: "lasso", key: "l", label: t("Lasso"), icon: "lasso", help: t("Draw around it, or press corners and Enter") },
  { id: "wand", key: "w", label: t("Wand"), icon: "wand", help: t("Press a colour to paint all of it that hangs together") },
  { id: "pick", key: "s", label: t("Pick"), icon: "point", help: t("Press an object, or drag a box around it, to paint it") },
  { id: "restore", key: "o", label: t("Restore"), icon: "restore-part", help: t("Restore a layer's own picture, or erase it") },
  { id: "move", key: "v", label: t("Move"), icon: "move", help: t("Drag a layer, or its corners to scale it") },
  { id: "canvas", key: "c", label: t("Canvas"), icon: "crop", help: t("Drag the edges to extend, or a frame to crop") },
  { id: "hand", key: "h", label: t("Hand"), icon: "hand", help: t("Drag to move the view") },
];
export const PAINTS = /** @type {readonly Tool[]} */ (["brush", "erase", "restore"]);
export const MARKS = /** @type {readonly Tool[]} */ (["rect", "lasso", "wand", "restore"]);

const NEAR = 12; // CSS px
const STILL = 3; // CSS px that aren't a drag yet
const THIN = 4; // ⅛ px: a point nearer than this to the one before adds nothing

/** What a tool does from now on; null = it moves the view. @param {Editor} editor @param {Tool} tool @param {boolean} isOther  the other way round: take away */
function gestureOf(editor, tool, isOther) {
  const value = /** @type {0 | 1} */ (Number((tool === "erase" ? 0 : tool === "brush" ? 1 : editor.value) !== Number(isOther)));
  if (tool === "restore") return restoreGesture(editor, value);
  if (PAINTS.includes(tool)) return brushGesture(editor, value, { on: editor.history, touched: (box) => editor.touched(box) });
  if (tool === "pick") return pickGesture(editor, isOther);
  if (tool === "rect" || tool === "lasso") return shapeGesture(editor, tool, value);
  if (tool === "wand") return pressGesture((point) => wand(editor, point, value));
  if (tool === "move") return moveGesture(editor);
  return tool === "canvas" ? frameGesture(editor) : null;
}

/**
 * What is painted on, and where its corner and how large its pixels are on the canvas.
 * @typedef {{on: ConstructorParameters<typeof Brushing>[0], touched: (box: Box | null) => void, x?: number, y?: number, scale?: number}} Ground
 */

/** @param {Editor} editor @param {0 | 1} value @param {Ground} ground @returns {Gesture} */
function brushGesture(editor, value, { on, touched, x: left = 0, y: top = 0, scale = 1 }) {
  const line = new Brushing(on, value);
  const spot = (/** @type {Point} */ { x, y }) => /** @type {Spot} */ ([eighthsOf((x - left) / scale), eighthsOf((y - top) / scale)]);
  const thick = (/** @type {Point} */ { pressure }) => radiusOf((editor.size * pressure) / scale);
  /** @type {Point | null} not painted yet, as it is so near */
  let near = null;
  const to = (/** @type {Point} */ point) => touched(line.to(spot(point), thick(point)));
  return {
    down(point, { shiftKey }) {
      if (shiftKey && editor.lastSpot) touched(line.to(editor.lastSpot, thick(point)));
      to(point);
    },
    move(points) {
      for (const point of points) {
        const [[x, y], [u, v]] = [line.points.at(-1) ?? [0, 0], spot(point)];
        near = Math.abs(u - x) + Math.abs(v - y) < THIN ? point : (to(point), null);
      }
    },
    up() {
      if (near) to(near);
      editor.lastSpot = line.points.at(-1) ?? null;
      line.end();
      editor.changed();
    },
    cancel() {
      touched(line.tiles.box);
      line.cancel();
    },
  };
}

/** Paint what is shown of the selected layer. @param {Editor} editor @param {0 | 1} value @returns {Gesture | null} */
function restoreGesture(editor, value) {
  const layer = editor.layer;
  if (!layer?.visible) return null;
  const on = editor.clips.painting(layer, editor.sizeOf(layer), (clip, bytes) => editor.cut(layer.id, clip, bytes));
  const gesture = brushGesture(editor, value, { on, touched: () => editor.redraw(), ...layer });
  return {
    ...gesture,
    cancel() {
      gesture.cancel();
      editor.clips.live = null;
    },
  };
}

/** Ask for the object that is pressed, or that a box is dragged around. @param {Editor} editor @param {boolean} isNot  it doesn't belong to the object @returns {Gesture} */
function pickGesture(editor, isNot) {
  /** @type {Point} */
  let first;
  let isAlso = false;
  return {
    down(point, { shiftKey }) {
      first = point;
      isAlso = shiftKey;
    },
    move(points) {
      const { x, y } = /** @type {Point} */ (points.at(-1));
      if (editor.frame || Math.hypot(x - first.x, y - first.y) > editor.near(NEAR)) editor.frame = [Math.min(first.x, x), Math.min(first.y, y), Math.max(first.x, x), Math.max(first.y, y)];
      editor.mark();
    },
    up() {
      const { frame } = editor;
      editor.frame = null;
      editor.mark();
      if (frame) editor.picking.box(first, frame);
      else editor.picking.point(first, isNot ? "not" : isAlso ? "also" : editor.picking.way);
    },
    cancel() {
      editor.frame = null;
      editor.mark();
    },
  };
}

/** A rectangle or a lasso: dragged, or pressed point for point. @param {Editor} editor @param {"rect" | "lasso"} tool @param {0 | 1} value @returns {Gesture} */
function shapeGesture(editor, tool, value) {
  const close = () => editor.near(NEAR);
  const isAt = (/** @type {Point} */ a, /** @type {Point | undefined} */ b) => b !== undefined && Math.hypot(a.x - b.x, a.y - b.y) < close();
  const going = editor.shape?.tool === tool ? editor.shape : (editor.shape = { tool, value, points: [], end: null });
  const began = going.points.length;
  let far = false;
  return {
    down(point) {
      if (tool === "lasso" && began > 2 && isAt(point, going.points[0])) return editor.finish();
      if (tool === "lasso" || !began) going.points.push(point);
      going.end = point;
      editor.mark();
    },
    move(points) {
      if (editor.shape !== going) return;
      const from = going.points[began] ?? going.points[0];
      for (const point of points) {
        far ||= from !== undefined && Math.hypot(point.x - from.x, point.y - from.y) > editor.near(STILL);
        if (tool === "lasso" && far) going.points.push(point);
        going.end = point;
      }
      editor.mark();
    },
    up() {
      if (editor.shape === going && (tool === "rect" ? far || began : far && !began)) editor.finish();
    },
    cancel() {
      editor.drop();
    },
  };
}

/** Paint a shape that is done. @param {Editor} editor @param {NonNullable<Editor["shape"]>} shape */
function finishShape(editor, { tool, value, points, end }) {
  const first = points[0];
  if (tool === "rect" && first && end) {
    const [x, y] = [Math.round(first.x), Math.round(first.y)];
    const [u, v] = [Math.round(end.x), Math.round(end.y)];
    if (x !== u && y !== v) editor.paint({ tool, value, box: inside([Math.min(x, u), Math.min(y, v), Math.max(x, u), Math.max(y, v)]) });
  } else if (tool === "lasso" && points.length > 2) editor.paint(lassoStroke(points.map((one) => /** @type {Spot} */ ([eighthsOf(one.x), eighthsOf(one.y)])), value));
}

/** @param {Box} box @returns {Box} within what a document can say */
const inside = (box) => /** @type {Box} */ (box.map((px) => Math.min(8192, Math.max(-4096, px))));

/** @param {(point: Point) => void} work @returns {Gesture} */
const pressGesture = (work) => ({ down: work, move() {}, up() {}, cancel() {} });

/** Paint all of a colour that hangs together with a point. @param {Editor} editor @param {Point} point @param {0 | 1} value */
async function wand(editor, { x, y }, value) {
  const { width, height } = editor.state;
  const [column, row] = [Math.floor(x), Math.floor(y)];
  if (column < 0 || row < 0 || column >= width || row >= height) return;
  await editor.load();
  const [of, loaded] = [editor.state.layers, editor.pictures.loaded.size];
  if (editor.composed?.of !== of || editor.composed.loaded !== loaded) editor.composed = { of, loaded, pixels: editor.pixelsOf(editor.state) };
  const { mask } = editor;
  const filling = floodFill(editor.composed.pixels, width, height, column, row, editor.tolerance);
  let step = filling.next();
  for (; !step.done; step = filling.next()) await new Promise((done) => setTimeout(done));
  if (mask !== editor.mask) return; // the canvas has changed meanwhile
  const found = /** @type {Uint8Array} */ (step.value);
  for (let at = 0; at < found.length; at++) found[at] = value ? (mask.bits[at] ?? 0) | (found[at] ?? 0) : (mask.bits[at] ?? 0) & (found[at] ? 0 : 1);
  editor.found(found);
}

/** @param {Editor} editor @returns {Gesture} */
function moveGesture(editor) {
  /** @type {((point: Point) => Partial<Layer>) | null} */
  let to = null;
  let isMoved = false;
  let id = "";
  return {
    down(point) {
      const layer = editor.layerAt(point, editor.near(NEAR));
      if (!layer) return;
      editor.select((id = layer.id));
      to = scaleGesture(editor, layer, point) ?? (({ x, y }) => ({ x: Math.round(layer.x + x - point.x), y: Math.round(layer.y + y - point.y) }));
    },
    move(points) {
      const last = points.at(-1);
      if (!to || !last) return;
      isMoved = true;
      editor.change(withLayer(editor.state, id, to(last)), `drag ${id}`);
    },
    up() {
      if (isMoved) editor.settle();
    },
    cancel() {
      if (isMoved) editor.undo();
    },
  };
}

/** From a layer's corner: scale it, its other corner stays. @param {Editor} editor @param {Layer} layer @param {Point} at */
function scaleGesture(editor, layer, at) {
  const [left, top, right, bottom] = editor.boxOf(layer);
  const corner = [[left, top], [right, top], [left, bottom], [right, bottom]].find(([u = 0, v = 0]) => Math.hypot(u - at.x, v - at.y) < editor.near(NEAR));
  if (!corner) return null;
  const [x, y] = [corner[0] === left ? right : left, corner[1] === top ? bottom : top];
  const [width, height] = [(right - left) / layer.scale, (bottom - top) / layer.scale];
  return (/** @type {Point} */ point) => {
    const scale = Math.min(64, Math.max(0.01, Number((Math.max(Math.abs(point.x - x) / width, Math.abs(point.y - y) / height) || 0.01).toFixed(4))));
    const change = scale / layer.scale;
    return { scale, x: Math.round(x + (layer.x - x) * change), y: Math.round(y + (layer.y - y) * change) };
  };
}

/** The canvas: its edges are dragged to extend it, or a frame is drawn to crop it. @param {Editor} editor @returns {Gesture} */
function frameGesture(editor) {
  const { width, height } = editor.state;
  /** @type {Point | null} */
  let first = null;
  let [isLeft, isTop, isRight, isBottom] = [false, false, false, false];
  return {
    down(point) {
      const near = editor.near(NEAR);
      [isLeft, isRight] = [Math.abs(point.x) < near, Math.abs(point.x - width) < near];
      [isTop, isBottom] = [Math.abs(point.y) < near, Math.abs(point.y - height) < near];
      if (!(isLeft || isTop || isRight || isBottom)) first = point;
    },
    move(points) {
      const { x, y } = /** @type {Point} */ (points.at(-1));
      if (first) editor.frame = [Math.min(first.x, x), Math.min(first.y, y), Math.max(first.x, x), Math.max(first.y, y)];
      else editor.frame = [isLeft ? x : 0, isTop ? y : 0, isRight ? x : width, isBottom ? y : height];
      editor.mark();
    },
    up() {
      const [left, top, right, bottom] = editor.frame ?? [0, 0, width, height];
      editor.frame = null;
      if (right - left > 8 && bottom - top > 8) editor.setCanvas(-left, -top, right - left, bottom - top);
      editor.mark();
    },
    cancel() {
      editor.frame = null;
      editor.mark();
    },
  };
}

// Mouse, pen and fingers on the stage: one paints, two fingers or the hand move the view, a wheel scrolls and zooms.

/** A point of the document. `pressure`: 0 to 1, 1 for all but pens. */
/** @typedef {{x: number, y: number, pressure: number}} Point */

/**
 * What is done with a pointer that is down.
 * @typedef {object} Gesture
 * @property {(point: Point, event: {shiftKey: boolean, altKey: boolean}) => void} down
 * @property {(points: Point[]) => void} move
 * @property {() => void} up
 * @property {() => void} cancel  as if it had never been down
 */

/**
 * @typedef {object} Hooks
 * @property {(event: PointerEvent) => Gesture | null} gesture  null = move the view
 * @property {() => void} moved  the view is another
 * @property {(point: Point | null) => void} hover
 * @property {() => {width: number, height: number}} size  of the document
 * @property {(place: [number, number]) => [number, number]} home  the place of the stage that a place of a field of it stands for
 */

const SECOND = 150; // ms in which a second finger takes back what the first has begun
const LINE = 16; // CSS px of a wheel that counts in lines

class Pointers {
  /** @param {HTMLElement} stage @param {View} view @param {Hooks} hooks */
  constructor(stage, view, hooks) {
    this.stage = stage;
    this.view = view;
    this.hooks = hooks;
    /** @type {Map<number, [number, number]>} fingers and hands that are down, in px of the screen */
    this.held = new Map();
    /** @type {{id: number, since: number, gesture: Gesture, touch: boolean} | null} */
    this.active = null;
    this.penSeen = false; // from then on fingers are hands
    /** @type {[number, number] | null} where the active one was last */
    this.last = null;
    stage.addEventListener("pointerdown", (event) => this.#down(event));
    stage.addEventListener("pointermove", (event) => this.#move(event));
    stage.addEventListener("pointerup", (event) => this.#up(event));
    stage.addEventListener("pointercancel", (event) => this.#up(event)); // the system took it: what was painted stays
    stage.addEventListener("pointerleave", () => this.active || this.hooks.hover(null));
    stage.addEventListener("wheel", (event) => this.#wheel(event), { passive: false });
    stage.addEventListener("contextmenu", (event) => event.preventDefault());
  }

  /** Cancel what you have started. Returns whether there was something. */
  cancel() {
    const { active } = this;
    this.active = null;
    active?.gesture.cancel();
    return active !== null;
  }

  /** @param {MouseEvent} event @returns {[number, number]} px of the screen, from the stage's corner */
  #place(event) {
    const box = this.stage.getBoundingClientRect();
    return this.hooks.home([((event.clientX - box.left) * this.view.width) / box.width, ((event.clientY - box.top) * this.view.height) / box.height]);
  }

  /** The document's point under an event. @param {MouseEvent} event */
  at(event) {
    const [x, y] = this.view.toDocument(...this.#place(event));
    return { x, y };
  }

  /** @param {PointerEvent} event @returns {Point} */
  #point(event) {
    return { ...this.at(event), pressure: event.pointerType === "pen" ? event.pressure : 1 };
  }

  /** @param {PointerEvent} event */
  #down(event) {
    if (event.button > 1) return;
    this.stage.setPointerCapture(event.pointerId);
    const touch = event.pointerType === "touch";
    this.penSeen ||= event.pointerType === "pen";
    if (touch && this.active?.touch) this.#second(event);
    else if (this.active) return;
    const isHand = event.button === 1 || (touch && (this.penSeen || this.held.size > 0));
    const gesture = isHand ? null : this.hooks.gesture(event);
    if (!gesture) return void this.held.set(event.pointerId, this.#place(event));
    this.active = { id: event.pointerId, since: event.timeStamp, gesture, touch };
    gesture.down(this.#point(event), event);
  }

  /** A second finger: both are hands from now on. @param {PointerEvent} event */
  #second(event) {
    if (!this.active) return;
    const { id, since, gesture } = this.active;
    this.active = null;
    if (event.timeStamp - since <= SECOND) gesture.cancel();
    else gesture.up();
    this.held.set(id, this.last ?? this.#place(event));
  }

  /** @param {PointerEvent} event */
  #move(event) {
    if (this.held.has(event.pointerId)) return this.#hands(event);
    const point = this.#point(event);
    if (event.pointerType !== "touch" || this.active) this.hooks.hover(point);
    if (this.active?.id !== event.pointerId) return;
    this.last = this.#place(event);
    const all = event.getCoalescedEvents?.() ?? [];
    this.active.gesture.move(all.length ? all.map((one) => this.#point(one)) : [point]);
  }

  /** One hand moves the view, two also zoom it. @param {PointerEvent} event */
  #hands(event) {
    const [other] = [...this.held].filter(([id]) => id !== event.pointerId).map(([, place]) => place);
    const before = /** @type {[number, number]} */ (this.held.get(event.pointerId));
    const now = this.#place(event);
    this.held.set(event.pointerId, now);
    const part = other ? 0.5 : 1; // of the move: the middle of two fingers goes half as far
    if (other) {
      const far = (/** @type {[number, number]} */ [x, y]) => Math.hypot(x - other[0], y - other[1]) || 1;
      this.view.zoom(far(now) / far(before), (other[0] + now[0]) / 2, (other[1] + now[1]) / 2);
    }
    this.view.pan((now[0] - before[0]) * part, (now[1] - before[1]) * part, this.hooks.size());
    this.hooks.moved();
  }

  /** @param {PointerEvent} event */
  #up(event) {
    this.held.delete(event.pointerId);
    if (this.active?.id !== event.pointerId) return;
    const { gesture } = this.active;
    this.active = null;
    gesture.up();
    if (event.pointerType === "touch") this.hooks.hover(null);
  }

  /** @param {WheelEvent} event */
  #wheel(event) {
    event.preventDefault();
    const unit = (event.deltaMode === WheelEvent.DOM_DELTA_LINE ? LINE : 1) * this.view.density;
    if (event.ctrlKey || event.metaKey) this.view.zoom(Math.exp((-event.deltaY * unit) / (300 * this.view.density)), ...this.#place(event));
    else this.view.pan(-(event.shiftKey ? event.deltaY : event.deltaX) * unit, event.shiftKey ? 0 : -event.deltaY * unit, this.hooks.size());
    this.hooks.moved();
  }
}

// What lies above the mask as lines of two tones: the brush, the cursor of the keyboard, shapes, layers, the canvas.

/** A line that is seen on any picture. @param {string} d  a path @param {string} [look] */
const line = (d, look = "") => svg`<path class="under" d=${d}></path><path class="over ${look}" d=${d}></path>`;

/** @param {readonly (readonly [number, number])[]} points */
const path = (points) => `M${points.map(([x, y]) => `${x.toFixed(1)} ${y.toFixed(1)}`).join("L")}`;

/** @param {number} x @param {number} y @param {number} r */
const circle = (x, y, r) => `M${x - r} ${y}a${r} ${r} 0 1 0 ${2 * r} 0a${r} ${r} 0 1 0 ${-2 * r} 0`;

/** @param {Editor} editor */
function drawMarks(editor) {
  const { view, parts } = editor;
  parts.marks.setAttribute("viewBox", `0 0 ${view.width} ${view.height}`);
  parts.stage.dataset.tool = editor.isHandHeld || editor.instead ? "hand" : editor.tool;
  const place = /** @type {HTMLElement} */ (/** @type {Element} */ (parts.marks)); // lit-html's types know no SVG
  render(editor.instead ? nothing : svg`${edgeMark(editor)}${seamMark(editor)}${layerMark(editor)}${shapeMark(editor)}${brushMark(editor)}`, place);
}

/** A box of the document, as a path. @param {Editor} editor @param {number} left @param {number} top @param {number} right @param {number} bottom */
function boxed({ view }, left, top, right, bottom) {
  const [[x, y], [u, v]] = [view.toScreen(left, top), view.toScreen(right, bottom)];
  return `${path([[x, y], [u, y], [u, v], [x, v]])}Z`;
}

/** The canvas, as it is or as it is being dragged. @param {Editor} editor */
function edgeMark(editor) {
  const { width, height } = editor.state;
  if (editor.frame) return line(boxed(editor, ...editor.frame), "dashed");
  return editor.tool === "canvas" ? line(boxed(editor, 0, 0, width, height)) : nothing;
}

/** The band inside of a lone picture that is drawn anew where the canvas goes on beyond it. @param {Editor} editor */
function seamMark(editor) {
  const [one, ...others] = editor.state.layers;
  if (!editor.seam || !one || others.length) return nothing;
  const { width, height } = editor.sizeOf(one);
  const [w, h] = [width * one.scale, height * one.scale];
  const outer = boxed(editor, Math.max(0, one.x), Math.max(0, one.y), Math.min(editor.state.width, one.x + w), Math.min(editor.state.height, one.y + h));
  const [l, t, r, b] = [one.x > 0, one.y > 0, one.x + w < editor.state.width, one.y + h < editor.state.height].map((is) => (is ? editor.seam : 0));
  const inner = boxed(editor, one.x + (l ?? 0), one.y + (t ?? 0), one.x + w - (r ?? 0), one.y + h - (b ?? 0));
  return svg`<path class="seam" fill-rule="evenodd" d="${outer}${inner}"></path>`;
}

/** The selected layer with its corners. @param {Editor} editor */
function layerMark(editor) {
  const one = editor.layer;
  if (!(editor.tool === "move" || editor.tool === "restore") || !one) return nothing;
  const [left, top, right, bottom] = editor.boxOf(one);
  const r = 5 * editor.view.density;
  const corner = (/** @type {[number, number]} */ [x, y]) => svg`<rect class="corner" x=${x - r} y=${y - r} width=${2 * r} height=${2 * r}></rect>`;
  const corners = [editor.view.toScreen(left, top), editor.view.toScreen(right, top), editor.view.toScreen(left, bottom), editor.view.toScreen(right, bottom)];
  return svg`${line(boxed(editor, left, top, right, bottom))}${editor.tool === "move" ? corners.map(corner) : nothing}`;
}

/** @param {Editor} editor */
function shapeMark(editor) {
  const { shape: found, view } = editor;
  const first = found?.points[0];
  if (!found || !first) return nothing;
  const end = found.end ?? first;
  if (found.tool === "rect") return line(boxed(editor, Math.round(first.x), Math.round(first.y), Math.round(end.x), Math.round(end.y)), "dashed");
  const points = [...found.points, end].map(({ x, y }) => view.toScreen(x, y));
  const [x, y] = view.toScreen(first.x, first.y);
  return svg`${line(path(points), "dashed")}${line(circle(x, y, 4 * view.density))}`;
}

/** The brush under the pointer, or at the keyboard's cursor with a cross. @param {Editor} editor */
function brushMark(editor) {
  const point = editor.cursor ?? editor.hover;
  if (!point || editor.isHandHeld) return nothing;
  const [x, y] = editor.view.toScreen(point.x, point.y);
  const arm = 10 * editor.view.density;
  const round = PAINTS.includes(editor.tool) ? line(circle(x, y, Math.max(1, (editor.size * point.pressure * editor.view.scale) / 2))) : nothing;
  return svg`${round}${editor.cursor ? line(`M${x - arm} ${y}H${x + arm}M${x} ${y - arm}V${y + arm}`) : nothing}`;
}

// Picking an object: a worker is asked which pixels of a picture belong to it, and the answer goes into the mask.

/** What is asked for, in px of the layer's picture. @typedef {{layer: string, points: [number, number, 0 | 1][], box: Box | null, words: string, isMore?: boolean}} Wish  `isMore`: of the last thing */
/** What can be asked here. @typedef {{points: boolean, words: boolean}} Can */
/** @typedef {Can & {mask?: string, box?: Box, by?: string}} Answer */
/** @typedef {keyof typeof HOW} How */
/** @typedef {"new" | "also" | "not"} Way */

export const HOW = { add: t("Add"), take: t("Subtract"), replace: t("Replace"), overlap: t("Intersect") };
export const WAYS = { new: t("New object"), also: t("Also this"), not: t("Not this") };
const MOST_POINTS = 20;
const NO_POINTS = t("This studio can't tell what you point at. Name the object instead, or use the wand.");
const NO_BOTH = t("This studio has no model that finds objects. The wand finds what has one colour.");
const NO_LAYER = t("There is no layer there that can be seen.");

/** @type {Record<How, (old: number, found: number) => number>} */
const JOINS = { add: (old, found) => old | found, take: (old, found) => old & (found ? 0 : 1), replace: (_, found) => found, overlap: (old, found) => old & found };

class Picking {
  /** @param {Editor} editor */
  constructor(editor) {
    this.editor = editor;
    /** @type {Can | null} not known yet */
    this.can = null;
    this.trouble = "";
    this.how = /** @type {How} */ ("add");
    this.way = /** @type {Way} */ ("new");
    /** @type {Wish | null} in hand */
    this.now = null;
    /** @type {Wish | null} asked as soon as the one in hand is answered */
    this.next = null;
    /** @type {{wish: Wish, state: State} | null} the last thing, to be told more of as long as nothing else was done */
    this.last = null;
    this.seen = ""; // the picture that a worker is ready for
  }

  /** Whether the last thing can be told more of. */
  get isOpen() {
    return this.last !== null && this.last.state === this.editor.state;
  }

  /** What a person is told of it. */
  get said() {
    const { can } = this;
    if (!can) return "";
    if (!can.points) return can.words ? t("Name an object to paint it") : NO_BOTH;
    return this.isOpen ? t("Shift: also this. Alt: not this") : t("Press an object, or drag a box around it{0}", can.words ? t(", or name it") : "");
  }

  /** Let a worker look at the selected layer's picture ahead, and tell what can be asked. */
  ready() {
    const { layer } = this.editor;
    if (layer && this.seen !== addressOf(layer.source)) this.#ask({ layer: layer.id, points: [], box: null, words: "" });
  }

  /** @param {Partial<Pick<Picking, "how" | "way">>} settings */
  set(settings) {
    Object.assign(this, settings);
    this.editor.onChange();
  }

  /** @param {Point} at @param {Way} way */
  point(at, way) {
    if (this.can && !this.can.points) return this.#tell(this.can.words ? NO_POINTS : NO_BOTH);
    const wish = way === "new" ? null : (this.next ?? this.now ?? (this.isOpen ? this.last?.wish : null) ?? null);
    const layer = wish ? this.#layer(wish.layer) : this.editor.layerAt(at, 0);
    if (!layer) return this.#tell(NO_LAYER);
    const [x, y] = this.#inside(layer, at.x, at.y);
    const points = /** @type {Wish["points"]} */ ([...(wish?.points ?? []).slice(1 - MOST_POINTS), [x, y, way === "not" ? 0 : 1]]);
    this.#ask({ layer: layer.id, points, box: wish?.box ?? null, words: "", isMore: wish !== null });
  }

  /** @param {Point} from @param {Box} box */
  box(from, [left, top, right, bottom]) {
    if (this.can && !this.can.points) return this.#tell(this.can.words ? NO_POINTS : NO_BOTH);
    const layer = this.editor.layerAt(from, 0) ?? this.editor.layer;
    if (!layer) return this.#tell(NO_LAYER);
    const [[l, t], [r, b]] = [this.#inside(layer, left, top), this.#inside(layer, right, bottom)];
    if (l < r && t < b) this.#ask({ layer: layer.id, points: [], box: [l, t, r, b], words: "" });
  }

  /** @param {string} words */
  words(words) {
    const { layer } = this.editor;
    if (layer && words.trim()) this.#ask({ layer: layer.id, points: [], box: null, words: words.trim() });
  }

  /** @param {Layer} layer @param {number} x @param {number} y @returns {[number, number]} px of its picture */
  #inside(layer, x, y) {
    const { width, height } = this.editor.sizeOf(layer);
    const within = (/** @type {number} */ at, /** @type {number} */ side) => Math.min(side, Math.max(0, Math.round(at / layer.scale)));
    return [within(x - layer.x, width), within(y - layer.y, height)];
  }

  /** @param {string} id */
  #layer(id) {
    return this.editor.state.layers.find((one) => one.id === id);
  }

  /** @param {string} trouble */
  #tell(trouble) {
    this.trouble = trouble;
    this.editor.onChange();
  }

  /** One question after the other; of those that wait only the newest is asked. @param {Wish} wish */
  async #ask(wish) {
    this.next = wish;
    if (this.now) return;
    while (this.next) {
      this.now = this.next;
      this.next = null;
      this.#tell("");
      await this.#answered(this.now).catch((error) => this.#tell(error instanceof Error ? plainText(error.message) : String(error)));
    }
    this.now = null;
    this.editor.onChange();
  }

  /** @param {Wish} wish */
  async #answered(wish) {
    const layer = this.#layer(wish.layer);
    if (!layer) return;
    const { points, box, words } = wish;
    const asked = { source: layer.source, ...(points.length ? { points } : {}), ...(box ? { box } : {}), ...(words ? { words } : {}) };
    const found = /** @type {Answer} */ (await sendJson("POST", "/api/selects", asked));
    this.can = { points: found.points, words: found.words };
    this.seen = addressOf(layer.source);
    if (found.mask) await this.#put(found.mask, wish);
    else if (points.length || box || words) this.#tell(t("Nothing was found there."));
  }

  /** @param {string} mask  a PNG of the picture's size, base64 @param {Wish} wish */
  async #put(mask, wish) {
    const { editor } = this;
    const { width, height, bits } = await decodePng(Uint8Array.from(atob(mask), (letter) => letter.charCodeAt(0)));
    const layer = this.#layer(wish.layer);
    if (!layer) return; // taken away meanwhile
    const found = commonMask(Object.assign(new Mask(1, 1), { width, height, bits }), editor.clips.of(layer));
    const marked = ontoCanvas(found, layer, editor.state);
    if (this.isOpen && wish.isMore) editor.history.undo(); // the same thing, told better
    const { bits: old } = editor.mask;
    const join = JOINS[this.how];
    for (let at = 0; at < old.length; at++) marked.bits[at] = join(old[at] ?? 0, marked.bits[at] ?? 0);
    editor.found(marked.bits);
    this.last = { wish, state: editor.state };
    this.way = "new";
    announce(t("Found. The mask has {0} pixels", editor.mask.count.toLocaleString("en")));
  }
}

export const FIELDS = 4; // a side, as under Vary (Region) on Discord
const FULL = t("There are {0} layers already. Remove one first.", MOST_LAYERS);

const SETTLED = 120; // ms without a move until the view stands still

/** @typedef {{stage: HTMLElement, picture: HTMLCanvasElement, overlay: HTMLCanvasElement, marks: SVGSVGElement}} Parts */
/** What is shown instead of the document. `split`: % of it, from the right. `beside`: all of these, each in a field of its own. @typedef {{state: State, mask: Mask | null, split: number, beside?: readonly Named[]}} Instead */
/** A preview where it belongs. `part`: of the image, as shares. `mask`: where it is drawn. @typedef {{image: HTMLImageElement, part: [number, number, number, number], box: [number, number, number, number], mask: Mask}} Preview */
/** A rectangle or a lasso that isn't done. @typedef {{tool: "rect" | "lasso", value: 0 | 1, points: Point[], end: Point | null}} Shape */
export class Editor {
  /**
   * @param {Parts} parts
   * @param {State} state
   * @param {() => void} onChange  the document, or what the panels show of it
   */
  constructor(parts, state, onChange) {
    this.parts = parts;
    this.onChange = onChange;
    this.history = new History(state);
    this.view = new View();
    this.seam = 0; // px inside a layer that are drawn anew where the canvas is extended
    /** @type {Band | null} the same of several layers */
    this.band = null;
    /** @type {Instead | null} */
    this.instead = null;
    /** @type {Preview | null} */
    this.preview = null;
    /** @type {Box | "all" | null} */
    this.stale = "all";
    this.isPictureStale = true;
    /** @type {ReturnType<typeof setTimeout> | undefined} as long as the view moves, the mask is drawn at half its size */
    this.moving = undefined;
    this.half = new Overlay(document.createElement("canvas"));
    this.isFitted = true; // all of the document is shown, and stays so when the stage has another size
    this.clips = new Clips();
    this.pictures = new Pictures(parts.picture, this.clips, () => {
      this.look();
      this.onChange(); // panels show it too
    });
    this.thumbs = new Thumbs(this);
    this.overlay = new Overlay(parts.overlay);
    this.frameSoon = oncePerFrame(() => this.#frame());
    this.load();
    const isExact = "devicePixelContentBoxSize" in ResizeObserverEntry.prototype; // not so in Safari
    new ResizeObserver((all) => this.#resize(all[0])).observe(parts.stage, { box: isExact ? "device-pixel-content-box" : "content-box" });
    /** @type {Tool} */
    this.tool = "brush";
    this.size = 40; // px across
    this.value = /** @type {0 | 1} */ (1);
    this.tolerance = 24;
    this.selected = state.layers.at(-1)?.id ?? "";
    /** @type {Shape | null} */
    this.shape = null;
    /** @type {Box | null} the canvas that is being dragged, px */
    this.frame = null;
    /** @type {Point | null} */
    this.hover = null;
    /** @type {Point | null} where the keyboard paints */
    this.cursor = null;
    /** @type {Spot | null} */
    this.lastSpot = null;
    this.isHandHeld = false;
    this.showsSteps = false; // as long as somebody looks at the history
    /** @type {{of: readonly Layer[], loaded: number, pixels: Uint8ClampedArray} | null} for the wand */
    this.composed = null;
    this.picking = new Picking(this);
    this.pointers = new Pointers(parts.stage, this.view, {
      gesture: (event) => this.gesture(event.altKey || event.button === 2),
      moved: () => this.moved(),
      hover: (point) => {
        this.hover = point;
        if (point) this.cursor = null;
        if (this.shape && point && !this.pointers.active) this.shape.end = point;
        this.mark();
      },
      size: () => this.state,
      home: (place) => this.home(place),
    });
  }

  /** @param {boolean} isOther @returns {Gesture | null} */
  gesture(isOther) {
    if (this.instead || this.isHandHeld) return null; // a result is looked at
    this.cursor = null;
    return gestureOf(this, this.tool, isOther);
  }

  /** @param {Tool} tool */
  take(tool) {
    this.drop();
    this.tool = tool;
    this.lastSpot = null;
    if (tool === "pick") this.picking.ready();
    this.onChange();
  }

  /** Another setting of a tool. @param {Partial<Pick<Editor, "size" | "value" | "tolerance" | "showsSteps">>} settings */
  set(settings) {
    Object.assign(this, settings);
    this.mark();
    this.onChange();
  }

  /** The hand as long as a key is held. @param {boolean} isOn */
  hold(isOn) {
    this.isHandHeld = isOn;
    this.mark();
  }

  /** Show a document that was made elsewhere; Undo brings back the one before. @param {State} state */
  open(state) {
    this.history.replaced(state);
    this.selected = state.layers.at(-1)?.id ?? "";
    this.load();
    this.look();
    this.onChange();
  }

  // What changes the document

  /** @param {State} state @param {string} [kind] */
  change(state, kind) {
    this.history.change(state, kind);
    this.look();
    this.onChange();
  }

  settle() {
    this.history.settle();
    this.onChange();
  }

  /** @param {Stroke} stroke */
  paint(stroke) {
    this.touched(this.history.paint(stroke));
    this.changed();
  }

  /** The mask is another: say so. */
  changed() {
    this.onChange();
    this.frameSoon();
  }

  /** @param {Uint8Array} bits @param {State} [state] */
  found(bits, state) {
    this.history.found(bits, state);
    this.look();
    this.changed();
  }

  /** Other layers, and no mask if it `isClean`. @param {State} state @param {boolean} isClean */
  replace(state, isClean) {
    if (isClean && this.mask.bounds) this.history.found(new Uint8Array(this.mask.bits.length), state);
    else this.history.change(state);
    this.load();
    this.look();
    this.changed();
  }

  clear() {
    if (this.mask.bounds) this.found(new Uint8Array(this.mask.bits.length));
  }

  undo() {
    this.#went(this.history.undo(), t("Undone"));
  }

  redo() {
    this.#went(this.history.redo(), t("Redone"));
  }

  /** Undo or redo so many steps at once. @param {number} away  less than 0: back */
  jump(away) {
    const step = () => (away < 0 ? this.history.undo() : this.history.redo());
    for (let left = Math.abs(away); left > 1; left--) step();
    if (!away) return;
    this.#went(step(), `${countOf(Math.abs(away), "step")} ${away < 0 ? "undone" : "redone"}`);
    this.look();
  }

  /** Paint one of the numbered fields, or take it away where all of it is painted. @param {number} n  from 1, row by row */
  field(n) {
    const { width, height } = this.state;
    const edge = (/** @type {number} */ at, /** @type {number} */ side) => Math.round((at * side) / FIELDS);
    const [column, row] = [(n - 1) % FIELDS, Math.floor((n - 1) / FIELDS)];
    const box = /** @type {Box} */ ([edge(column, width), edge(row, height), edge(column + 1, width), edge(row + 1, height)]);
    const value = this.mask.isFull(box) ? 0 : 1;
    this.paint({ tool: "rect", value, box });
    announce(t("Field {0} {1}", n, value ? "painted" : "cleared"));
  }

  /** @param {Box | null} box @param {string} said */
  #went(box, said) {
    if (!box) return;
    if (!this.state.layers.some(({ id }) => id === this.selected)) this.selected = this.state.layers.at(-1)?.id ?? "";
    this.shape = null;
    this.touched(box);
    this.isPictureStale = true;
    this.load();
    this.changed();
    announce(said);
  }

  /** Another canvas, px added at the left and at the top. @param {number} left @param {number} top @param {number} width @param {number} height */
  setCanvas(left, top, width, height) {
    const sides = [width, height].map((px) => Math.min(MOST_SIDE, Math.max(LEAST_SIDE, Math.round(px))));
    const [w = width, h = height] = sides;
    const [x, y] = [Math.round(left), Math.round(top)];
    if (w === this.state.width && h === this.state.height && !x && !y) return;
    this.view.x -= x * this.view.scale;
    this.view.y -= y * this.view.scale;
    this.history.resize(withCanvas(this.state, x, y, w, h), x, y);
    this.look();
    this.changed();
    announce(t("The canvas is {0} × {1} px", w, h));
  }

  /** Put a picture on top, as small as the canvas; its middle in the canvas' or at a point. @param {Source} source @param {string} name @param {{x: number, y: number}} [at] */
  async add(source, name, at) {
    if (this.state.layers.length >= MOST_LAYERS) throw new Error(FULL);
    const { width, height } = await this.pictures.load(source);
    const scale = Math.max(0.01, Math.min(1, Math.ceil(10_000 * Math.min(this.state.width / width, this.state.height / height)) / 10_000));
    const id = freeId(this.state);
    const middle = at ?? { x: this.state.width / 2, y: this.state.height / 2 };
    const [x, y] = [Math.round(middle.x - (width * scale) / 2), Math.round(middle.y - (height * scale) / 2)];
    this.selected = id;
    this.change({ ...this.state, layers: [...this.state.layers, { ...newLayer(id, source), x, y, scale, name: name.slice(0, 80) }] });
  }

  /** What is shown of a layer was painted. @param {string} id @param {Base | null} clip @param {number} bytes  of what changed */
  cut(id, clip, bytes) {
    this.history.clipped(withLayer(this.state, id, { clip }), bytes);
    this.redraw();
  }

  /** Put what the mask marks of the selected layer on a layer of its own, over it. @param {boolean} isHole  it isn't there below any more, so that the hole is drawn */
  cutOut(isHole) {
    const from = this.layer;
    if (!from || !this.mask.bounds) return showError(t("Paint or pick what is to be cut out first."));
    if (this.state.layers.length >= MOST_LAYERS) return showError(FULL);
    const id = freeId(this.state);
    const state = withCutOut(this.state, this.mask, from, this.sizeOf(from), id, isHole);
    if (!state) return showError(t("The painted part doesn't overlap the selected layer."));
    this.found(new Uint8Array(this.mask.bits.length), state);
    this.take("move");
    this.select(id);
    const [left, top, right, bottom] = this.boxOf(/** @type {Layer} */ (this.layer));
    if (this.cursor) this.cursor = { x: Math.floor((left + right) / 2) + 0.5, y: Math.floor((top + bottom) / 2) + 0.5, pressure: 1 };
    announce(isHole ? t("Cut out. Move it, and what it leaves will be drawn") : t("Copied to a layer of its own"));
  }

  // Shapes that are pressed point for point

  finish() {
    const { shape } = this;
    this.shape = null;
    if (shape) finishShape(this, shape);
    this.mark();
  }

  /** Forget what has begun. Returns whether there was something. */
  drop() {
    const had = this.shape !== null;
    this.shape = null;
    this.mark();
    return had;
  }

  // Layers

  get layer() {
    return this.state.layers.find(({ id }) => id === this.selected);
  }

  /** @param {string} id */
  select(id) {
    this.selected = id;
    this.lastSpot = null;
    if (this.tool === "pick") this.picking.ready();
    this.mark();
    this.onChange();
  }

  /** The layer at a point: the selected one, if it is there too. @param {Point} point @param {number} margin  px */
  layerAt({ x, y }, margin) {
    const isHit = (/** @type {Layer} */ one) => {
      const [left, top, right, bottom] = this.boxOf(one);
      return one.visible && x >= left - margin && y >= top - margin && x < right + margin && y < bottom + margin;
    };
    const hit = this.state.layers.filter(isHit);
    return hit.find(({ id }) => id === this.selected) ?? hit.at(-1);
  }

  // How it is looked at

  get state() {
    return this.history.present;
  }

  get mask() {
    return this.history.mask;
  }

  /** Read the pictures of all layers. */
  load() {
    return Promise.all(this.state.layers.map((one) => this.pictures.load(one.source)));
  }

  /** px of the document for so many of CSS. @param {number} css */
  near = (css) => (css * this.view.density) / this.view.scale;

  /** A layer's own size, px; the canvas' until its picture is there. @param {Layer} one */
  sizeOf = (one) => this.pictures.loaded.get(addressOf(one.source)) ?? this.state;

  /** The pixels of a state, RGBA. @param {State} state */
  pixelsOf = (state) => this.pictures.pixels(state);

  /** What is shown of a layer, in px of the canvas: left, top, right, bottom. @param {Layer} one @returns {Box} */
  boxOf(one) {
    const [left, top, right, bottom] = this.clips.boxOf(one, this.sizeOf(one));
    return [one.x + left * one.scale, one.y + top * one.scale, one.x + right * one.scale, one.y + bottom * one.scale];
  }

  /** The mask changed in a box. @param {Box | null} box */
  touched(box) {
    if (!box) return;
    const { stale } = this;
    if (stale !== "all") this.stale = stale ? [Math.min(stale[0], box[0]), Math.min(stale[1], box[1]), Math.max(stale[2], box[2]), Math.max(stale[3], box[3])] : box;
    this.frameSoon();
  }

  /** The layers look another way; the mask doesn't. */
  redraw() {
    this.isPictureStale = true;
    this.frameSoon();
  }

  /** Everything is to be drawn. */
  look() {
    this.stale = "all";
    this.isPictureStale = true;
    this.frameSoon();
  }

  /** Only what lies above the mask. */
  mark() {
    this.frameSoon();
  }

  fit() {
    this.isFitted = true;
    const { width, height } = fieldOf(0, this.instead?.beside?.length ?? 1, this.view);
    this.view.fit(this.state.width, this.state.height, width, height);
    this.look();
    this.onChange();
  }

  /** Zoom; a point of the document stays where it is, else the middle of the stage. @param {number} factor @param {{x: number, y: number} | null} [point] */
  zoom(factor, point = null) {
    const { width, height } = this.view;
    const [x, y] = point ? this.view.toScreen(point.x, point.y) : [width / 2, height / 2];
    this.view.zoom(factor, x, y);
    this.moved();
  }

  /** The view is another, and perhaps goes on moving. */
  moved() {
    this.isFitted = false;
    clearTimeout(this.moving);
    this.moving = setTimeout(() => {
      this.moving = undefined;
      this.look();
    }, SETTLED);
    this.look();
    this.onChange();
  }

  /** @param {Instead | null} instead */
  show(instead) {
    this.instead = instead;
    for (const { layers } of instead ? [instead.state, ...(instead.beside ?? []).map(({ state }) => state)] : []) for (const one of layers) this.pictures.load(one.source);
    this.look();
  }

  /** The place of the stage that a place of one of its fields stands for. @param {[number, number]} place  px of the screen @returns {[number, number]} */
  home([x, y]) {
    const count = this.instead?.beside?.length ?? 1;
    const { width, height } = fieldOf(0, count, this.view);
    if (count < 2) return [x, y];
    return [(x % width) + (this.view.width - width) / 2, (y % height) + (this.view.height - height) / 2];
  }

  #frame() {
    const { instead } = this;
    const mask = instead ? instead.mask : this.mask;
    if (this.isPictureStale) {
      this.clips.keep(this.state.layers);
      this.pictures.isRough = this.moving !== undefined;
      this.pictures.draw(this.state, this.view);
      if (this.band?.of.layers === this.state.layers && !instead && !this.preview) this.pictures.stretch(this.band.canvas, this.state, this.view);
      if (instead?.beside) this.pictures.beside(instead.beside, this.view);
      else if (instead) this.pictures.draw(instead.state, this.view, 1 - instead.split / 100);
      else if (this.preview) this.pictures.preview(this.preview, this.view);
    }
    this.overlay.paint = this.half.paint = this.preview && !instead ? edgePixel : outlinedPixel; // what comes is seen in its own colours
    if (this.stale && mask && this.moving) this.#coarse(mask);
    else if (this.stale && mask) this.overlay.draw(mask, this.view, this.stale === "all" ? null : this.stale);
    else if (this.stale) this.overlay.clear();
    this.stale = null;
    this.isPictureStale = false;
    drawMarks(this);
  }

  /** A quarter of the work, for a view that moves. @param {Mask} mask */
  #coarse(mask) {
    const { canvas, context } = this.overlay;
    const [width, height] = [Math.ceil(canvas.width / 2), Math.ceil(canvas.height / 2)];
    if (this.half.canvas.width !== width || this.half.canvas.height !== height) [this.half.canvas.width, this.half.canvas.height] = [width, height];
    this.half.draw(mask, Object.assign(new View(), { width, height, scale: this.view.scale / 2, x: this.view.left / 2, y: this.view.top / 2 }), null);
    this.overlay.clear();
    context.imageSmoothingEnabled = false;
    context.drawImage(this.half.canvas, 0, 0, 2 * width, 2 * height);
  }

  /** @param {ResizeObserverEntry | undefined} entry */
  #resize(entry) {
    const exact = entry?.devicePixelContentBoxSize?.[0];
    const { width, height } = this.parts.stage.getBoundingClientRect();
    const [w, h] = exact ? [exact.inlineSize, exact.blockSize] : [Math.round(width * devicePixelRatio), Math.round(height * devicePixelRatio)];
    for (const canvas of [this.parts.picture, this.parts.overlay]) [canvas.width, canvas.height] = [Math.max(1, w), Math.max(1, h)];
    this.view.resize(Math.max(1, w), Math.max(1, h), w / (width || 1));
    if (this.isFitted) this.fit();
    this.look();
    this.#frame(); // now, as the canvases are empty
  }
}
