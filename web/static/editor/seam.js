// The band of several layers that is drawn anew with what no layer covers, as far as it can be seen on a screen.
import { steps } from "./difference.js";

/** @import {State} from "./document.js" */
/** @import {Screen} from "./screen.js" */

/** `of`: the document that it belongs to. @typedef {{of: State, canvas: OffscreenCanvas}} Band */

const FINEST = 1024; // places of the longer side that are looked at
const STRIPE = 6; // places
const [DARK, LIGHT] = [0x801a1a1a, 0x2effffff]; // alpha, blue, green, red

/** Null where there is none, or one layer, whose band is an outline. @param {Screen} screen @param {number} seam  px @returns {Band | null} */
export function bandOf(screen, seam) {
  const { state } = screen;
  if (!seam || state.layers.length < 2) return null;
  const finest = Math.max(1, Math.max(state.width, state.height) / FINEST); // px of the document for a place
  const [width, height] = [Math.ceil(state.width / finest), Math.ceil(state.height / finest)];
  const covered = coverOf(screen, width, height, finest);
  if (!covered.includes(0)) return null;
  const far = steps((at) => covered[at] === 1, width, height);
  const canvas = new OffscreenCanvas(width, height);
  const image = new ImageData(width, height);
  const pixels = new Uint32Array(image.data.buffer);
  for (let at = 0; at < far.length; at++) {
    const near = (far[at] ?? 0) * finest;
    const stripe = (at % width) + Math.floor(at / width);
    if (near > 0 && near <= seam) pixels[at] = stripe % (2 * STRIPE) < STRIPE ? DARK : LIGHT;
  }
  /** @type {OffscreenCanvasRenderingContext2D} */ (canvas.getContext("2d")).putImageData(image, 0, 0);
  return { of: state, canvas };
}

/** Which places a layer covers: 1. @param {Screen} screen @param {number} width @param {number} height @param {number} finest */
function coverOf(screen, width, height, finest) {
  const covered = new Uint8Array(width * height);
  for (const layer of screen.state.layers) {
    if (!layer.visible) continue;
    const size = screen.sizeOf(layer);
    const bits = screen.clips.of(layer)?.bits;
    const columns = Int32Array.from({ length: width }, (_, at) => Math.floor(((at + 0.5) * finest - layer.x) / layer.scale));
    for (let row = 0, to = 0; row < height; row++) {
      const from = Math.floor(((row + 0.5) * finest - layer.y) / layer.scale);
      const isBeside = from < 0 || from >= size.height;
      for (const column of columns) {
        if (!isBeside && column >= 0 && column < size.width && (!bits || bits[from * size.width + column])) covered[to] = 1;
        to++;
      }
    }
  }
  return covered;
}
