import { PAGE, Source } from "/static/js/gallery/source.js";
import { equal } from "./assert.js";

const turn = () => new Promise((done) => setTimeout(done));

export async function pages_that_are_looked_at_stay_and_those_not_seen_for_longest_go() {
  let firsts = 0;
  const source = new Source({}, [{ month: "", pictures: 200 * PAGE }], () => {}, [], async (query) => {
    if (!query.has("before")) firsts += 1;
    return { pictures: Array.from({ length: PAGE }, (_, n) => ({ job: `job ${n}`, n: 1 })), older: "more" };
  });
  for (let page = 0; page < 160; page += 1) {
    await source.ensure(page * PAGE, page * PAGE + 1);
    source.want(0, 1); // the first one is on screen all the time
    await turn();
  }
  equal([firsts, source.at(0)?.job, source.at(PAGE), source.pages.size], [1, "job 0", undefined, 150]);
}
