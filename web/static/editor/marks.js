// What lies above the mask as lines of two tones: the brush, the cursor of the keyboard, shapes, layers, the canvas.
import { nothing, render, svg } from "../vendor/lit-html/lit-html.js";
import { PAINTS } from "./tools.js";

/** @import {Editor} from "./editor.js" */
/** @import {Point} from "./pointers.js" */

/** A line that is seen on any picture. @param {string} d  a path @param {string} [look] */
const line = (d, look = "") => svg`<path class="under" d=${d}></path><path class="over ${look}" d=${d}></path>`;

/** @param {readonly (readonly [number, number])[]} points */
const path = (points) => `M${points.map(([x, y]) => `${x.toFixed(1)} ${y.toFixed(1)}`).join("L")}`;

/** @param {number} x @param {number} y @param {number} r */
const circle = (x, y, r) => `M${x - r} ${y}a${r} ${r} 0 1 0 ${2 * r} 0a${r} ${r} 0 1 0 ${-2 * r} 0`;

/** @param {Editor} editor */
export function drawMarks(editor) {
  const { view, parts } = editor;
  parts.marks.setAttribute("viewBox", `0 0 ${view.width} ${view.height}`);
  parts.stage.dataset.tool = editor.isHandHeld || editor.instead ? "hand" : editor.tool;
  const place = /** @type {HTMLElement} */ (/** @type {Element} */ (parts.marks)); // lit-html's types know no SVG
  render(editor.instead ? nothing : svg`${edge(editor)}${seam(editor)}${layer(editor)}${shape(editor)}${brush(editor)}`, place);
}

/** A box of the document, as a path. @param {Editor} editor @param {number} left @param {number} top @param {number} right @param {number} bottom */
function boxed({ view }, left, top, right, bottom) {
  const [[x, y], [u, v]] = [view.toScreen(left, top), view.toScreen(right, bottom)];
  return `${path([[x, y], [u, y], [u, v], [x, v]])}Z`;
}

/** The canvas, as it is or as it is being dragged. @param {Editor} editor */
function edge(editor) {
  const { width, height } = editor.state;
  if (editor.frame) return line(boxed(editor, ...editor.frame), "dashed");
  return editor.tool === "canvas" ? line(boxed(editor, 0, 0, width, height)) : nothing;
}

/** The band inside of a lone picture that is drawn anew where the canvas goes on beyond it. @param {Editor} editor */
function seam(editor) {
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
function layer(editor) {
  const one = editor.layer;
  if (!(editor.tool === "move" || editor.tool === "restore") || !one) return nothing;
  const [left, top, right, bottom] = editor.boxOf(one);
  const r = 5 * editor.view.density;
  const corner = (/** @type {[number, number]} */ [x, y]) => svg`<rect class="corner" x=${x - r} y=${y - r} width=${2 * r} height=${2 * r}></rect>`;
  const corners = [editor.view.toScreen(left, top), editor.view.toScreen(right, top), editor.view.toScreen(left, bottom), editor.view.toScreen(right, bottom)];
  return svg`${line(boxed(editor, left, top, right, bottom))}${editor.tool === "move" ? corners.map(corner) : nothing}`;
}

/** @param {Editor} editor */
function shape(editor) {
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
function brush(editor) {
  const point = editor.cursor ?? editor.hover;
  if (!point || editor.isHandHeld) return nothing;
  const [x, y] = editor.view.toScreen(point.x, point.y);
  const arm = 10 * editor.view.density;
  const round = PAINTS.includes(editor.tool) ? line(circle(x, y, Math.max(1, (editor.size * point.pressure * editor.view.scale) / 2))) : nothing;
  return svg`${round}${editor.cursor ? line(`M${x - arm} ${y}H${x + arm}M${x} ${y - arm}V${y + arm}`) : nothing}`;
}
