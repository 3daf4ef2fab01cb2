import { anchorOf, blocksOf, findPlace, indexOf, totalOf } from "/static/js/gallery/source.js";
import { scaleLabels } from "/static/js/gallery/gallery.js";
import { equal, holds } from "./assert.js";

const MONTHS = [{ month: "2026-11", pictures: 812 }, { month: "2026-10", pictures: 3 }, { month: "2025-12", pictures: 90 }];

export function a_place_is_found_again_by_its_address() {
  const blocks = blocksOf(MONTHS, 0);
  equal(totalOf(blocks), 905);
  for (const index of [1, 811, 812, 814, 815, 904]) equal(indexOf(blocks, anchorOf(blocks, index)), index);
  equal(anchorOf(blocks, 813), "2026-10.1");
  equal(anchorOf(blocks, 0), "");
}

export function a_place_stays_right_when_pictures_come_above() {
  const later = blocksOf([{ month: "2026-11", pictures: 900 }, ...MONTHS.slice(1)], 0);
  equal(indexOf(later, anchorOf(blocksOf(MONTHS, 0), 820)), 908);
}

export function an_address_that_means_nothing_is_the_top() {
  const blocks = blocksOf(MONTHS, 0);
  equal(["1999-01.5", "nonsense", "", "2026-10.99"].map((anchor) => indexOf(blocks, anchor)), [0, 0, 0, 814]);
  equal(findPlace(blocksOf([], 0), 5), { number: 0, offset: 5 });
}

export function labels_of_months_never_lie_over_each_other() {
  const months = Array.from({ length: 120 }, (_, k) => ({ month: `${2026 - Math.floor(k / 12)}-${String(12 - (k % 12)).padStart(2, "0")}`, pictures: 1 + ((k * 37) % 900) }));
  const tops = scaleLabels(blocksOf(months, 0), 700).map(({ top }) => top);
  holds(tops.length > 5 && tops.every((top, k) => k === 0 || top - tops[k - 1] >= 24), "labels overlap");
}
