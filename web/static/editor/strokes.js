// Strokes as a document keeps them: their points as text, what they paint, and the box that they touch. Pure.

/** @import {Box, Mask} from "./mask.js" */

/** @typedef {readonly [x: number, y: number]} Spot  ⅛ px */
/** @typedef {{tool: "brush", value: 0 | 1, r: number[], at: [number, number], xy: string}} BrushStroke */
/** @typedef {{tool: "lasso", value: 0 | 1, at: [number, number], xy: string}} LassoStroke */
/** @typedef {{tool: "rect", value: 0 | 1, box: Box} | {tool: "invert"} | {tool: "grow" | "shrink", px: number}} PlainStroke */
/** @typedef {BrushStroke | LassoStroke | PlainStroke} Stroke */

const LONGEST = 32767; // ⅛ px between two points
const [LEAST, MOST] = [-32768, 65535]; // ⅛ px, of a point
const THINNEST = 6; // ⅛ px: a smaller radius may miss every pixel
const THICKEST = 32768;
const POINTS = 4000; // of one brush stroke; longer ones are kept as several

/** Round a place in px to ⅛ px. @param {number} px */
export const eighths = (px) => Math.min(MOST, Math.max(LEAST, Math.round(px * 8)));

/** A radius in ⅛ px, of a size across in px. @param {number} px */
export const radius = (px) => Math.min(THICKEST, Math.max(THINNEST, Math.round(px * 4)));

/** What lies between two points, if they are too far apart for one way. @param {Spot} from @param {Spot} to @returns {Spot[]} */
export function between(from, to) {
  if (Math.max(Math.abs(to[0] - from[0]), Math.abs(to[1] - from[1])) <= LONGEST) return [to];
  return [[Math.trunc((from[0] + to[0]) / 2), Math.trunc((from[1] + to[1]) / 2)], to];
}

/** @param {readonly Spot[]} points */
export function packed(points) {
  const ways = new DataView(new ArrayBuffer(4 * (points.length - 1)));
  for (let at = 1; at < points.length; at++) {
    const [[x, y], [u, v]] = [points[at] ?? [0, 0], points[at - 1] ?? [0, 0]];
    ways.setInt16(4 * at - 4, x - u, true);
    ways.setInt16(4 * at - 2, y - v, true);
  }
  let text = "";
  for (const byte of new Uint8Array(ways.buffer)) text += String.fromCharCode(byte);
  return btoa(text);
}

/** @param {{at: readonly number[], xy: string}} stroke @returns {[number, number][]} */
export function unpacked({ at: [x = 0, y = 0], xy }) {
  const ways = new DataView(Uint8Array.from(atob(xy), (letter) => letter.charCodeAt(0)).buffer);
  /** @type {[number, number][]} */
  const points = [[x, y]];
  for (let at = 0; at < ways.byteLength; at += 4) points.push([(x += ways.getInt16(at, true)), (y += ways.getInt16(at + 2, true))]);
  return points;
}

/**
 * @param {readonly Spot[]} points
 * @param {readonly number[]} r  one for each point
 * @param {0 | 1} value
 * @returns {BrushStroke[]}  several for a very long one: each begins where the one before ends
 */
export function brushed(points, r, value) {
  const strokes = [];
  for (let from = 0; from === 0 || from < points.length - 1; from += POINTS - 1) {
    const part = points.slice(from, from + POINTS);
    const radii = r.slice(from, from + POINTS);
    const even = radii.every((one) => one === radii[0]);
    const [x, y] = part[0] ?? [0, 0];
    strokes.push({ tool: /** @type {const} */ ("brush"), value, r: even ? radii.slice(0, 1) : radii, at: /** @type {[number, number]} */ ([x, y]), xy: packed(part) });
  }
  return strokes;
}

/** @param {readonly Spot[]} points @param {0 | 1} value @returns {LassoStroke} */
export function lassoed(points, value) {
  const whole = [...points.slice(0, 1), ...points.slice(1).flatMap((point, at) => between(points[at] ?? point, point))];
  const [x, y] = whole[0] ?? [0, 0];
  return { tool: "lasso", value, at: [x, y], xy: packed(whole) };
}

/** The pixels that a capsule may touch, in ⅛ px. @param {Spot} from @param {Spot} to @param {number} r @returns {Box} */
export const around = ([x0, y0], [x1, y1], r) => [
  Math.floor((Math.min(x0, x1) - r) / 8),
  Math.floor((Math.min(y0, y1) - r) / 8),
  Math.ceil((Math.max(x0, x1) + r) / 8) + 1,
  Math.ceil((Math.max(y0, y1) + r) / 8) + 1,
];

/** The pixels that a stroke may touch. @param {Stroke} stroke @param {Mask} mask @returns {Box} */
export function touched(stroke, mask) {
  if (stroke.tool === "rect") return stroke.box;
  if (stroke.tool === "invert" || stroke.tool === "shrink") return mask.all;
  if ("px" in stroke) {
    const [left, top, right, bottom] = mask.bounds ?? [0, 0, 0, 0];
    return [left - stroke.px, top - stroke.px, right + stroke.px, bottom + stroke.px];
  }
  const points = unpacked(stroke);
  const most = "r" in stroke ? stroke.r.reduce((a, b) => Math.max(a, b)) : 0;
  const [xs, ys] = [points.map(([x]) => x), points.map(([, y]) => y)];
  const [least, greatest] = [(/** @type {number[]} */ of) => of.reduce((a, b) => Math.min(a, b)), (/** @type {number[]} */ of) => of.reduce((a, b) => Math.max(a, b))];
  return around([least(xs), least(ys)], [greatest(xs), greatest(ys)], most);
}

/** Paint a stroke. @param {Mask} mask @param {Stroke} stroke */
export function apply(mask, stroke) {
  switch (stroke.tool) {
    case "rect":
      return mask.rect(stroke.box, stroke.value);
    case "lasso":
      return mask.lasso(unpacked(stroke), stroke.value);
    case "brush": {
      const points = unpacked(stroke);
      points.forEach(([x, y], at) => mask.capsule(...(points[at - 1] ?? [x, y]), x, y, stroke.r[stroke.r.length > 1 ? at : 0] ?? THINNEST, stroke.value));
      return;
    }
    case "invert":
      return mask.invert();
    default:
      return mask[stroke.tool](stroke.px);
  }
}
