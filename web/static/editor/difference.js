// Which pixels of a result differ from the original, and how many of them where nothing was to be drawn.
import { replayed } from "./history.js";
import { Mask } from "./mask.js";

/** @import {State} from "./document.js" */
/** @import {Screen} from "./screen.js" */

/** Which pixels differ, and how many outside of what was to be drawn and its seam. @param {Screen} editor @param {State} before @param {State} after @param {number | null} seam */
export function difference(editor, before, after, seam) {
  const [old, now] = [editor.pixelsOf(before), editor.pixelsOf(after)];
  const mask = new Mask(before.width, before.height);
  const asked = replayed(before).bits;
  const far = steps((at) => old[4 * at + 3] === 255, before.width, before.height);
  let [changed, outside] = [0, 0];
  for (let at = 0; at < mask.bits.length; at++) {
    const to = 4 * at;
    if (old[to] === now[to] && old[to + 1] === now[to + 1] && old[to + 2] === now[to + 2]) continue;
    mask.bits[at] = 1;
    changed++;
    if (!asked[at] && (far[at] ?? 0) > (seam ?? 0)) outside++;
  }
  return { mask, changed, outside };
}

/** How many steps down and across the nearest pixel is that no layer covers; 0 = it is one. @param {(at: number) => boolean} isCovered @param {number} width @param {number} height */
export function steps(isCovered, width, height) {
  const far = new Uint16Array(width * height).fill(65535);
  const step = (/** @type {number} */ at, /** @type {number} */ x, /** @type {number} */ row, /** @type {number} */ way) => {
    const [beside, over] = [x + way >= 0 && x + way < width ? (far[at + way] ?? 65535) : 65535, row + way >= 0 && row + way < height ? (far[at + way * width] ?? 65535) : 65535];
    far[at] = isCovered(at) ? Math.min(far[at] ?? 65535, Math.min(beside, over, 65534) + 1) : 0;
  };
  for (let row = 0, at = 0; row < height; row++) for (let x = 0; x < width; x++, at++) step(at, x, row, -1);
  for (let row = height - 1, at = width * height - 1; row >= 0; row--) for (let x = width - 1; x >= 0; x--, at--) step(at, x, row, 1);
  return far;
}
