import { History, newDocument, newLayer, stepName, stepsOf, withBase, withCanvas, withLayer } from "/static/editor/document.js";
import { Mask } from "/static/editor/mask.js";
import { equal } from "./assert.js";

const DOT = { tool: "brush", value: 1, r: [80], at: [800, 800], xy: "" };
const STATE = newDocument({ job: "abcd2345efgh", n: 1 }, 256, 128);

export function a_step_is_named_by_what_it_painted() {
  for (const [stroke, name] of [
    [DOT, "Brush"],
    [{ ...DOT, value: 0 }, "Erase"],
    [{ tool: "rect", value: 0, box: [0, 0, 9, 9] }, "Rectangle, subtracted"],
    [{ tool: "lasso", value: 1, at: [0, 0], xy: "AAAAAA==" }, "Lasso"],
    [{ tool: "invert" }, "Invert"],
    [{ tool: "shrink", px: 2 }, "Shrink"],
  ]) {
    const before = { ...STATE, mask: { base: null, strokes: [DOT] } };
    equal(stepName(before, { ...before, mask: { base: null, strokes: [DOT, stroke] } }), name);
  }
  const mask = new Mask(256, 128);
  equal(stepName({ ...STATE, mask: { base: null, strokes: [DOT] } }, withBase(STATE, mask)), "Clear");
  mask.rect([0, 0, 9, 9], 1);
  equal(stepName(STATE, withBase(STATE, mask)), "Mask");
}

export function a_step_is_named_by_what_became_of_its_layers() {
  const clip = { tiles: null, width: 256, height: 128, sha256: null };
  const boat = { ...newLayer("boat", { upload: "a" }), name: "boat.png" };
  const two = { ...STATE, layers: [...STATE.layers, boat] };
  equal(stepName(STATE, two), "Layer added: boat.png");
  equal(stepName(two, STATE), "Layer removed: boat.png");
  equal(stepName(two, { ...two, layers: [...two.layers].reverse() }), "Order of layers");
  equal(stepName(STATE, { ...two, layers: [...STATE.layers, { ...boat, clip }] }), "Cut-out");
  for (const [change, name] of [
    [{ x: 4 }, "Move: boat.png"],
    [{ y: 4, scale: 2 }, "Scale: boat.png"],
    [{ opacity: 0.5 }, "Opacity: boat.png"],
    [{ visible: false }, "Show or hide: boat.png"],
    [{ clip }, "Restore: boat.png"],
    [{ source: { job: "abcd2345efgh", n: 2 } }, "Another picture"],
  ]) {
    equal(stepName(two, withLayer(two, "boat", change)), name);
  }
}

export function a_step_is_named_by_the_canvas_or_the_setting_that_it_changed() {
  equal(stepName(STATE, withCanvas(STATE, 64, 0, 320, 128)), "Canvas, 320 × 128 px");
  equal(stepName(STATE, { ...STATE, words: "a boat" }), "Words");
  equal(stepName(STATE, { ...STATE, keep_seam: true }), "Keep every pixel outside");
  equal(stepName(STATE, { ...STATE, seed: 4 }), "Seed");
}

export function steps_are_listed_with_how_far_they_are_undone_ones_too() {
  const history = new History(STATE);
  history.paint(DOT);
  history.paint({ tool: "invert" });
  history.change({ ...history.present, words: "a boat" });
  history.undo();
  history.undo();
  const found = stepsOf(history).map(({ name, away }) => `${away} ${name}`);
  equal(found.join(", "), "0 Brush, 1 Invert, 2 Words");
}
