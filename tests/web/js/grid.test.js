import { Grid } from "/static/js/gallery/grid.js";
import { Selection, Source } from "/static/js/gallery/source.js";
import { equal, holds } from "./assert.js";

const TOOLS = { press: () => {}, mark: () => {}, markDay: () => {} };

/** @param {number} total */
function opened(total) {
  const place = document.body.appendChild(document.createElement("div"));
  place.style.width = "1000px";
  const read = async () => ({ pictures: [], older: null });
  const source = new Source({}, total ? [{ day: "2026-11-26", shapes: [100, total] }] : [], () => {}, { read });
  const grid = new Grid(place, source, new Selection(), TOOLS);
  grid.scrollTo(0);
  return { place, grid };
}

export function an_empty_gallery_is_drawn_as_often_as_one_likes() {
  const { place, grid } = opened(0);
  grid.scrollTo(0);
  equal([place.querySelectorAll(".tile").length, place.querySelectorAll("ul").length], [0, 1]);
}

export function a_gallery_that_fills_and_empties_keeps_one_list() {
  const { place, grid } = opened(5);
  equal([place.querySelectorAll(".segment").length, place.querySelectorAll("ul").length], [1, 1]);
  grid.source = new Source({}, [], () => {});
  grid.scrollTo(0);
  equal([place.querySelectorAll(".segment").length, place.querySelectorAll("ul").length], [0, 1]);
}

export function smaller_pictures_stand_in_more_and_lower_rows() {
  const { place, grid } = opened(60);
  const heights = [2, 1, 0].map((size) => {
    grid.resize(size);
    return [grid.height, place.querySelector(".tile").getBoundingClientRect().height];
  });
  holds(heights.every(([height, tile], n) => n === 0 || (height < heights[n - 1][0] && tile < heights[n - 1][1])), JSON.stringify(heights));
}
