import { PAGE, Source } from "/static/js/gallery/source.js";
import { equal, holds } from "./assert.js";

const turn = () => new Promise((done) => setTimeout(done));
const tile = (/** @type {number} */ n) => ({ job: `job ${n}`, n: 1, seq: 100_000 - n, width: 3, height: 2 });

/** A server of so many pictures. @param {number} total */
function server(total) {
  /** @type {string[]} */
  const asked = [];
  const read = async (query) => {
    asked.push(String(query));
    const from = Number(query.get("skip") ?? (query.has("before") ? 100_001 - Number(query.get("before").split("-")[0]) : 0));
    const count = Math.min(Number(query.get("limit")), total - from);
    return { pictures: Array.from({ length: Math.max(0, count) }, (_, n) => tile(from + n)), older: from + count < total ? `${100_001 - from - count}-0` : null };
  };
  return { asked, read };
}

export async function pages_that_are_looked_at_stay_and_those_far_away_go() {
  const total = 200 * PAGE;
  const { asked, read } = server(total);
  const source = new Source({}, [{ day: "2026-11-26", shapes: [150, total] }], () => {}, { read });
  for (let page = 0; page < 160; page += 1) {
    await source.ensure(page * PAGE, page * PAGE + 1);
    source.want(page * PAGE, page * PAGE + 1);
    await turn();
  }
  equal([source.at(159 * PAGE)?.job, source.at(0), new Set(asked).size], ["job 15900", undefined, asked.length]);
  holds(source.known <= 150 * PAGE, `${source.known} are kept`);
}

export async function what_is_gone_leaves_the_others_where_they_were_read() {
  const { asked, read } = server(250);
  const source = new Source({}, [{ day: "2026-11-26", shapes: [150, 30] }, { day: "2026-11-25", shapes: [100, 220] }], () => {}, { read });
  await source.ensure(0, 100);
  const before = asked.length;
  source.forget([tile(3), tile(40)]);
  equal([source.total, source.groups.map(({ start, count }) => [start, count]), source.at(3)?.job, source.at(39)?.job], [248, [[0, 29], [29, 219]], "job 4", "job 41"]);
  equal([asked.length, source.ratios[28], source.ratios[29]], [before, 1.5, 1]);
}

export async function a_list_that_nobody_counted_goes_on_where_it_ended() {
  const { asked, read } = server(250);
  const source = new Source({ q: "boat" }, null, () => {}, { read });
  await source.ensure(120, 121);
  equal([source.total, source.isOpen, source.at(120)?.job], [200, true, "job 120"]);
  source.want(100, 200);
  await turn();
  equal([source.total, source.isOpen, asked.length], [250, false, 3]);
}

export async function others_than_were_counted_are_told() {
  let told = 0;
  const { read } = server(40);
  const source = new Source({}, [{ day: "2026-11-26", shapes: [150, 50] }], () => {}, { read, onStale: () => (told += 1) });
  await source.ensure(0, 1);
  equal([told, source.at(39)?.job, source.at(40)], [1, "job 39", undefined]);
}
