// The tools: what each does with a pointer, or with the cursor of the keyboard, that is put down, moved and lifted.
import { withLayer } from "./document.js";
import { Brushing } from "./history.js";
import { eighths, lassoed, radius } from "./strokes.js";
import { flood } from "./wand.js";

/** @import {Editor} from "./editor.js" */
/** @import {Layer} from "./document.js" */
/** @import {Box} from "./mask.js" */
/** @import {Gesture, Point} from "./pointers.js" */
/** @import {Spot} from "./strokes.js" */

/** @typedef {"brush" | "erase" | "rect" | "lasso" | "wand" | "pick" | "restore" | "move" | "canvas" | "hand"} Tool */

/** @type {{id: Tool, key: string, label: string, icon: string, help: string}[]} */
export const TOOLS = [
  { id: "brush", key: "b", label: "Brush", icon: "brush", help: "Paint over what is to be drawn anew" },
  { id: "erase", key: "e", label: "Eraser", icon: "eraser", help: "Take paint away" },
  { id: "rect", key: "r", label: "Rectangle", icon: "rect", help: "Drag, or press two corners" },
  { id: "lasso", key: "l", label: "Lasso", icon: "lasso", help: "Draw around it, or press corners and Enter" },
  { id: "wand", key: "w", label: "Wand", icon: "wand", help: "Press a colour to paint all of it that hangs together" },
  { id: "pick", key: "s", label: "Pick", icon: "point", help: "Press a thing, or drag a box around it, to paint it" },
  { id: "restore", key: "o", label: "Restore", icon: "restore-part", help: "Paint a layer's own picture back, or rub it out" },
  { id: "move", key: "v", label: "Move", icon: "move", help: "Drag a layer, or its corners to scale it" },
  { id: "canvas", key: "c", label: "Canvas", icon: "crop", help: "Drag the edges to extend, or a frame to crop" },
  { id: "hand", key: "h", label: "Hand", icon: "hand", help: "Drag to look elsewhere" },
];
export const PAINTS = /** @type {readonly Tool[]} */ (["brush", "erase", "restore"]);
export const MARKS = /** @type {readonly Tool[]} */ (["rect", "lasso", "wand", "restore"]);

const NEAR = 12; // CSS px
const STILL = 3; // CSS px that aren't a drag yet
const THIN = 4; // ⅛ px: a point nearer than this to the one before adds nothing

/** What a tool does from now on; null = it moves the view. @param {Editor} editor @param {Tool} tool @param {boolean} isOther  the other way round: take away */
export function gestureOf(editor, tool, isOther) {
  const value = /** @type {0 | 1} */ (Number((tool === "erase" ? 0 : tool === "brush" ? 1 : editor.value) !== Number(isOther)));
  if (tool === "restore") return restore(editor, value);
  if (PAINTS.includes(tool)) return brush(editor, value, { on: editor.history, touched: (box) => editor.touched(box) });
  if (tool === "pick") return pick(editor, isOther);
  if (tool === "rect" || tool === "lasso") return shape(editor, tool, value);
  if (tool === "wand") return press((point) => wand(editor, point, value));
  if (tool === "move") return move(editor);
  return tool === "canvas" ? frame(editor) : null;
}

/**
 * What is painted on, and where its corner and how large its pixels are on the canvas.
 * @typedef {{on: ConstructorParameters<typeof Brushing>[0], touched: (box: Box | null) => void, x?: number, y?: number, scale?: number}} Ground
 */

/** @param {Editor} editor @param {0 | 1} value @param {Ground} ground @returns {Gesture} */
function brush(editor, value, { on, touched, x: left = 0, y: top = 0, scale = 1 }) {
  const line = new Brushing(on, value);
  const spot = (/** @type {Point} */ { x, y }) => /** @type {Spot} */ ([eighths((x - left) / scale), eighths((y - top) / scale)]);
  const thick = (/** @type {Point} */ { pressure }) => radius((editor.size * pressure) / scale);
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
function restore(editor, value) {
  const layer = editor.layer;
  if (!layer?.visible) return null;
  const on = editor.clips.painting(layer, editor.sizeOf(layer), (clip, bytes) => editor.cut(layer.id, clip, bytes));
  const gesture = brush(editor, value, { on, touched: () => editor.redraw(), ...layer });
  return {
    ...gesture,
    cancel() {
      gesture.cancel();
      editor.clips.live = null;
    },
  };
}

/** Ask for the thing that is pressed, or that a box is dragged around. @param {Editor} editor @param {boolean} isNot  it doesn't belong to the thing @returns {Gesture} */
function pick(editor, isNot) {
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
function shape(editor, tool, value) {
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
export function finished(editor, { tool, value, points, end }) {
  const first = points[0];
  if (tool === "rect" && first && end) {
    const [x, y] = [Math.round(first.x), Math.round(first.y)];
    const [u, v] = [Math.round(end.x), Math.round(end.y)];
    if (x !== u && y !== v) editor.paint({ tool, value, box: inside([Math.min(x, u), Math.min(y, v), Math.max(x, u), Math.max(y, v)]) });
  } else if (tool === "lasso" && points.length > 2) editor.paint(lassoed(points.map((one) => /** @type {Spot} */ ([eighths(one.x), eighths(one.y)])), value));
}

/** @param {Box} box @returns {Box} within what a document can say */
const inside = (box) => /** @type {Box} */ (box.map((px) => Math.min(8192, Math.max(-4096, px))));

/** @param {(point: Point) => void} work @returns {Gesture} */
const press = (work) => ({ down: work, move() {}, up() {}, cancel() {} });

/** Paint all of a colour that hangs together with a point. @param {Editor} editor @param {Point} point @param {0 | 1} value */
async function wand(editor, { x, y }, value) {
  const { width, height } = editor.state;
  const [column, row] = [Math.floor(x), Math.floor(y)];
  if (column < 0 || row < 0 || column >= width || row >= height) return;
  await editor.load();
  const [of, loaded] = [editor.state.layers, editor.pictures.loaded.size];
  if (editor.composed?.of !== of || editor.composed.loaded !== loaded) editor.composed = { of, loaded, pixels: editor.pixelsOf(editor.state) };
  const { mask } = editor;
  const filling = flood(editor.composed.pixels, width, height, column, row, editor.tolerance);
  let step = filling.next();
  for (; !step.done; step = filling.next()) await new Promise((done) => setTimeout(done));
  if (mask !== editor.mask) return; // the canvas has changed meanwhile
  const found = /** @type {Uint8Array} */ (step.value);
  for (let at = 0; at < found.length; at++) found[at] = value ? (mask.bits[at] ?? 0) | (found[at] ?? 0) : (mask.bits[at] ?? 0) & (found[at] ? 0 : 1);
  editor.found(found);
}

/** @param {Editor} editor @returns {Gesture} */
function move(editor) {
  /** @type {((point: Point) => Partial<Layer>) | null} */
  let to = null;
  let isMoved = false;
  let id = "";
  return {
    down(point) {
      const layer = editor.layerAt(point, editor.near(NEAR));
      if (!layer) return;
      editor.select((id = layer.id));
      to = scaling(editor, layer, point) ?? (({ x, y }) => ({ x: Math.round(layer.x + x - point.x), y: Math.round(layer.y + y - point.y) }));
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
function scaling(editor, layer, at) {
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
function frame(editor) {
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
