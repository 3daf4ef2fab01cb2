import { heightOf, lineAt, lineOf, linesIn, linesOf, MOST_TILES, placesIn } from "/static/js/gallery/grid.js";
import { spread } from "/static/js/gallery/source.js";
import { equal, holds } from "./assert.js";

const SHAPES = [100, 150, 67, 178, 100, 56, 240];
const LOOK = { width: 1100, rowHeight: 320, gap: 6 };

/** Days of some pictures each, of all kinds of shapes. @param {number} days @param {number} each */
const source = (days, each) => ({
  ...spread(Array.from({ length: days }, (_, day) => ({ day: `day ${day}`, shapes: Array.from({ length: each }, (_, n) => [SHAPES[(day + n) % SHAPES.length], 1]).flat() }))),
  isOpen: false,
});

export function rows_fill_the_width_and_keep_every_shape() {
  for (const look of [LOOK, { width: 384, rowHeight: 190, gap: 3 }, { width: 1900, rowHeight: 120, gap: 6 }]) {
    const found = source(40, 23);
    const rows = linesOf(found, look).filter(({ begin, end }) => end > begin);
    equal(rows.map(({ begin, end }) => end - begin).reduce((sum, count) => sum + count, 0), 920);
    for (const row of rows) {
      const places = placesIn(row, found.ratios, look.gap);
      const end = places.at(-1).left + places.at(-1).width;
      holds(end <= look.width + 2, `a row of ${end} px`);
      if (rows[rows.indexOf(row) + 1]?.group === row.group) holds(end >= look.width - 2, `a gap after ${end} px`);
      holds(row.height >= 0.55 * look.rowHeight && row.height <= 2 * look.rowHeight, `a row ${row.height} px high`);
      for (const [n, { width }] of places.entries()) holds(Math.abs(width / row.height - found.ratios[row.begin + n]) < 0.03, "cut");
    }
  }
}

export function no_picture_of_a_day_is_left_alone_below_a_row() {
  const lines = linesOf({ ...spread([{ day: "one", shapes: [100, 4] }]), isOpen: false }, LOOK);
  equal(lines.map(({ begin, end }) => end - begin), [0, 4]);
}

export function more_pictures_of_a_list_that_nobody_counted_leave_the_rows_as_they_are() {
  const ratios = Array.from({ length: 500 }, (_, n) => SHAPES[(n * 5) % SHAPES.length] / 100);
  const lay = (count) => linesOf({ ratios: ratios.slice(0, count), groups: [{ day: "", start: 0, count }], isOpen: true }, LOOK);
  for (const count of [100, 101, 150, 333]) equal(lay(500).slice(0, lay(count).length), lay(count));
}

export function the_last_row_of_a_hundred_thousand_is_reached() {
  const lines = linesOf(source(1000, 100), LOOK);
  const [, last] = linesIn(lines, heightOf(lines) - 900, 900, 450);
  equal([last, lines.at(-1).end, lineOf(lines, 99_999)], [lines.length, 100_000, lines.length - 1]);
}

export function wherever_one_scrolls_what_is_seen_is_drawn() {
  const lines = linesOf(source(60, 9), LOOK);
  for (let top = 0; top < heightOf(lines); top += 97) {
    const [begin, end] = linesIn(lines, top, 900, 450);
    const [above, below] = [lines[begin], lines[end - 1]];
    holds(above.top <= top && (end === lines.length || below.top + below.height >= top + 900), `a gap at ${top}`);
    holds(below.end - above.begin <= MOST_TILES, "too many");
  }
  for (const index of [0, 8, 9, 539]) holds(lines[lineOf(lines, index)].begin <= index && lines[lineOf(lines, index)].end > index, `${index} is in its row`);
  equal(lineAt(lines, -5), 0);
}

export function an_empty_gallery_has_no_rows() {
  const lines = linesOf({ groups: [], ratios: [], isOpen: false }, LOOK);
  equal([lines, heightOf(lines), linesIn(lines, 0, 900, 450)], [[], 0, [0, 0]]);
}
