import { boxAround, onlyPicture } from "/static/editor/results.js";
import { equal } from "./assert.js";

const LAYER = { id: "base", source: { job: "abcd2345efgh", n: 1 }, x: 0, y: 0, scale: 1, opacity: 1, visible: true, name: "", clip: null };
const of = (...layers) => ({ width: 64, height: 48, layers });
const SIZE = { width: 64, height: 48 };

export function what_is_painted_is_shown_with_an_eighth_of_it_around_inside_of_the_canvas() {
  equal(boxAround([300, 200, 428, 264], 768, 512), [284, 184, 444, 280]);
  equal(boxAround([300, 200, 700, 264], 768, 512), [250, 150, 750, 314]);
  equal(boxAround([0, 500, 4, 512], 768, 512), [0, 484, 20, 512]);
}

export function a_picture_that_was_left_as_it_is_and_fills_the_canvas_is_the_picture_that_is_kept() {
  equal(onlyPicture(of(LAYER), SIZE), LAYER.source);
  for (const other of [{ x: 1 }, { scale: 0.5 }, { opacity: 0.9 }, { visible: false }, { clip: {} }]) equal(onlyPicture(of({ ...LAYER, ...other }), SIZE), null);
  equal(onlyPicture(of(LAYER, LAYER), SIZE), null);
  equal(onlyPicture(of(LAYER), { width: 64, height: 64 }), null);
  equal(onlyPicture(of(LAYER), undefined), null);
}
