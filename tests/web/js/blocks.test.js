import { dateMarks } from "/static/js/gallery/gallery.js";
import { dayName } from "/static/js/gallery/grid.js";
import { anchorOf, groupAt, indexOf, spread } from "/static/js/gallery/source.js";
import { equal, holds } from "./assert.js";

const DAYS = [{ day: "2026-11-26", shapes: [150, 800, 100, 12] }, { day: "2026-11-02", shapes: [100, 3] }, { day: "2025-12-31", shapes: [67, 90] }];

export function a_place_is_found_again_by_its_address() {
  const { groups, ratios } = spread(DAYS);
  equal([ratios.length, ratios[799], ratios[800], ratios.at(-1)], [905, 1.5, 1, 0.67]);
  for (const index of [1, 811, 812, 814, 815, 904]) equal(indexOf(groups, anchorOf(groups, index)), index);
  equal([anchorOf(groups, 813), anchorOf(groups, 0), groupAt(groups, 814)], ["2026-11-02.1", "", 1]);
  equal([indexOf(groups, "2026-11"), indexOf(groups, "2025-12.4"), indexOf(groups, "2026-11-02")], [0, 819, 812]);
}

export function a_place_stays_right_when_pictures_come_above() {
  const { groups: later } = spread([{ day: "2026-11-26", shapes: [150, 900] }, ...DAYS.slice(1)]);
  equal(indexOf(later, anchorOf(spread(DAYS).groups, 820)), 908);
}

export function an_address_that_means_nothing_is_the_top() {
  const { groups } = spread(DAYS);
  equal(["1999-01.5", "nonsense", "", "2026-11-02.99"].map((anchor) => indexOf(groups, anchor)), [0, 0, 0, 814]);
  equal([anchorOf([], 5), indexOf([], "7"), groupAt([], 3)], ["5", 7, 0]);
}

export function labels_of_dates_never_lie_over_each_other() {
  const days = Array.from({ length: 900 }, (_, k) => ({ day: new Date(Date.UTC(2026, 10, 28) - k * 86_400_000).toISOString().slice(0, 10), top: (k / 900) * 700 }));
  const marks = dateMarks(days);
  holds(marks.length > 15 && marks.every(({ top }, k) => k === 0 || top - marks[k - 1].top >= 24), "labels overlap");
  equal(marks.filter(({ weight }) => weight === 0).map(({ label }) => label), ["2026", "2025", "2024"]);
  equal(dateMarks(days.slice(0, 5).map((one, k) => ({ ...one, top: k * 100 }))).map(({ label }) => label), ["2026", "27", "26", "25", "24"]);
}

export function days_are_named_as_people_say_them() {
  const now = new Date(2026, 10, 28, 0, 30);
  equal(["2026-11-28", "2026-11-27", "2026-11-02", "2025-12-31"].map((day) => dayName(day, now)), ["Today", "Yesterday", "Monday 2 November", "Wed, 31 December 2025"]);
}
