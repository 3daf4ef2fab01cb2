// What a step of the history did, in a few words, told by what differs between the document before and after it. Pure.

/** @import {Layer, State} from "./document.js" */
/** @import {History} from "./history.js" */

const STROKES = { brush: ["Erase", "Brush"], lasso: ["Lasso, taken away", "Lasso"], rect: ["Rectangle, taken away", "Rectangle"] };
const OTHERS = { invert: "Invert", grow: "Grow", shrink: "Shrink" };
/** @type {Record<Exclude<keyof State, "width" | "height" | "layers" | "mask">, string>} */
const SETTINGS = { words: "Words", references: "References", amount: "Change", seed: "Seed", images: "How many pictures", keep_seam: "Keep every pixel outside", keep_structure: "Keep shapes" };

/** @type {[keyof Layer, string][]} the first that fits names the step */
const OF_LAYER = [["clip", "Restore"], ["visible", "Show or hide"], ["opacity", "Opacity"], ["scale", "Scale"], ["x", "Move"], ["y", "Move"]];

/** @param {State} before @param {State} after */
export function nameOf(before, after) {
  if (before.width !== after.width || before.height !== after.height) return `Canvas, ${after.width} × ${after.height} px`;
  const layers = ofLayers(before.layers, after.layers);
  if (layers) return layers;
  if (before.mask !== after.mask) return ofMask(after);
  const changed = /** @type {(keyof typeof SETTINGS)[]} */ (Object.keys(SETTINGS)).find((key) => before[key] !== after[key]);
  return changed ? SETTINGS[changed] : "Change";
}

/** @param {readonly Layer[]} before @param {readonly Layer[]} after */
function ofLayers(before, after) {
  const named = (/** @type {string} */ what, /** @type {Layer} */ { name }) => (name ? `${what}: ${name}` : what);
  const added = after.find(({ id }) => before.every((one) => one.id !== id));
  if (added) return added.clip ? "Cut-out" : named("Layer added", added);
  const removed = before.find(({ id }) => after.every((one) => one.id !== id));
  if (removed) return named("Layer removed", removed);
  if (after.some(({ id }, at) => before[at]?.id !== id)) return "Order of layers";
  for (const [at, one] of after.entries()) {
    const old = before[at];
    if (!old || old === one) continue;
    if (JSON.stringify(old.source) !== JSON.stringify(one.source)) return "Another picture";
    const change = OF_LAYER.find(([key]) => old[key] !== one[key]);
    if (change) return named(change[1], one);
  }
  return "";
}

/** @param {State} after */
function ofMask({ mask: { base, strokes } }) {
  const last = strokes.at(-1);
  if (!last) return base ? "Mask" : "Clear";
  if (!("value" in last)) return OTHERS[last.tool];
  return STROKES[last.tool][last.value] ?? "Mask";
}

/** Every step that is known, the oldest first, with how many steps away it is: 0 = the last that was done. @param {History} history @returns {{name: string, away: number}[]} */
export function stepsOf({ past, present, future }) {
  const states = [...past.map(({ state }) => state), present, ...future.map(({ state }) => state).reverse()];
  return states.slice(1).map((state, at) => ({ name: nameOf(/** @type {State} */ (states[at]), state), away: at + 1 - past.length }));
}
