import { Grid } from "/static/js/gallery/grid.js";
import { Selection } from "/static/js/gallery/source.js";
import { equal } from "./assert.js";

const TOOLS = { press: () => {}, mark: () => {}, like: () => {} };

/** @param {number} total */
function opened(total) {
  const place = document.body.appendChild(document.createElement("div"));
  const source = { total, isOpen: false, at: () => undefined, want: () => {} };
  const grid = new Grid(place, source, new Selection(), TOOLS);
  grid.scrollTo(0);
  return { place, grid };
}

export function an_empty_gallery_is_drawn_as_often_as_one_likes() {
  const { place, grid } = opened(0);
  grid.scrollTo(0);
  equal([place.querySelectorAll(".segment").length, place.querySelectorAll("li").length], [0, 0]);
}

export function a_gallery_that_fills_and_empties_keeps_one_list() {
  const { place, grid } = opened(5);
  equal([place.querySelectorAll(".segment").length, place.querySelectorAll("ul").length], [1, 1]);
  grid.source = { ...grid.source, total: 0 };
  grid.scrollTo(0);
  equal([place.querySelectorAll(".segment").length, place.querySelectorAll("ul").length], [0, 1]);
}
