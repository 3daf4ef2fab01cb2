import { layoutOf, MOST_TILES, rowPlace, rowsIn, segmentHeights } from "/static/js/gallery/grid.js";
import { equal, holds } from "./assert.js";

export function the_last_row_of_a_hundred_thousand_is_reached() {
  for (const [columns, pitch, view] of [[3, 122.5, 640], [6, 198.25, 900], [18, 210, 2160]]) {
    const layout = layoutOf(100_000, columns, pitch);
    const [begin, end] = rowsIn(layout, layout.height - view, view, 2);
    equal(end, layout.rows);
    holds((end - begin) * columns <= MOST_TILES, "too many tiles");
    holds((layout.rows - begin) * pitch >= view, "the end doesn't fill the window");
  }
}

export function segments_stay_under_a_million_px_and_hold_every_row() {
  const layout = layoutOf(1_000_000, 3, 122.5);
  const heights = segmentHeights(layout);
  holds(Math.max(...heights) < 1_000_000, "a segment is too high");
  equal(Math.round(heights.reduce((sum, height) => sum + height, 0)), Math.round(layout.height));
  const { segment, top } = rowPlace(layout, layout.rows - 1);
  equal([segment, Math.round(top + layout.pitch)], [heights.length - 1, Math.round(heights.at(-1))]);
}

export function wherever_one_scrolls_what_is_seen_is_drawn() {
  const layout = layoutOf(5_003, 7, 180);
  for (let top = 0; top < layout.height; top += 97) {
    const [begin, end] = rowsIn(layout, top, 900, 2);
    holds(begin * 180 <= top && (end * 180 >= top + 900 || end === layout.rows), `a gap at ${top}`);
  }
}

export function an_empty_gallery_has_no_rows() {
  const layout = layoutOf(0, 6, 200);
  equal([layout.height, segmentHeights(layout), rowsIn(layout, 0, 900, 2)], [0, [], [0, 0]]);
}
