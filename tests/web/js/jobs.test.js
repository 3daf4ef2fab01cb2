import { pauseBefore } from "/static/js/core/api.js";
import { foldedRows, Jobs, stepOf, waitingOf, withState } from "/static/js/core/jobs.js";
import { equal, holds } from "./assert.js";

const QUEUED = { id: "a", status: "queued", over: false, position: 3, eta: 40, held: false, step: null, total: null, preview: null, loading: null, error: null };

export function a_job_goes_from_its_place_to_its_steps() {
  equal(waitingOf(withState(QUEUED, { id: "a", state: "queued", position: 1, eta: 95 })), "Place 1 in the queue, about 2 min");
  const loading = withState(QUEUED, { id: "a", state: "loading", model: "demo", fraction: 0.4 });
  equal([loading.position, stepOf(loading)], [null, ["Loading demo, 40 %", 0.4]]);
  const fetched = withState(QUEUED, { id: "a", state: "loading", model: "owner/name", fraction: 0.349, fetching: true, left: 360 });
  equal(stepOf(fetched), ["The model owner/name is being downloaded, 34 %, about 6 min", 0.349]);
  const waits = withState(fetched, { id: "a", state: "queued", position: 0, eta: 15, why: "It can't be downloaded: no route." });
  equal([waits.status, waitingOf(waits)], ["queued", "It can't be downloaded: no route. It is tried again in 15 s; the job keeps its place."]);
  equal(withState(waits, { id: "a", state: "queued", position: 2 }).why, "");
  const drawn = withState(loading, { id: "a", state: "progress", step: 6, total: 12, preview: "/p/6" });
  equal([drawn.loading, drawn.preview, stepOf(drawn)], [null, "/p/6", ["50 %", 0.5]]);
}

export function a_preview_stays_when_a_step_comes_without_one() {
  const drawn = withState({ ...QUEUED, preview: "/p/2" }, { id: "a", state: "progress", step: 3, total: 12, preview: null });
  equal(drawn.preview, "/p/2");
}

export function what_comes_late_does_not_wake_a_job_that_is_over() {
  const failed = withState(QUEUED, { id: "a", state: "failed", error: "The worker is gone." });
  equal([failed.over, failed.error], [true, "The worker is gone."]);
  equal(withState(failed, { id: "a", state: "progress", step: 5, total: 12 }), failed);
}

export function a_held_queue_and_a_restart_are_told() {
  equal(waitingOf(withState(QUEUED, { id: "a", state: "queued", position: 1, held: true })), "On hold: the queue is paused");
  equal(waitingOf(withState(QUEUED, { id: "a", state: "paused" })), "The studio restarts; this continues automatically");
}

export function who_waits_before_a_worker_is_ready_reads_what_for() {
  const waits = withState(QUEUED, { id: "a", state: "queued", position: 1, starting: true });
  equal(waitingOf(waits), "The studio is getting ready; this is next");
  equal(waitingOf(withState(waits, { id: "a", state: "queued", position: 2 })), "Place 2 in the queue");
}

export function tries_come_later_and_later_but_not_over_twenty_seconds() {
  equal([0, 1, 2].map((tries) => pauseBefore(tries, 0.5)), [500, 1000, 2000]);
  holds(pauseBefore(50, 1) <= 20_000 && pauseBefore(0, 0) >= 300, "out of bounds");
}

const ROW = { ...QUEUED, created: "2026-11-30T00:00:00", pictures: [], prompt: "x" };
const news = (at, more) => ({ jobs: [], changed: [], complete: true, at, ...more });

/** Answers to calls of the server, given in any order. */
function held() {
  const calls = [];
  const before = window.fetch;
  window.fetch = (path) => new Promise((done) => calls.push((at, body) => done(new Response(JSON.stringify(body), { headers: { "Content-Type": "application/json", "X-Point": String(at) } }))));
  return { calls, back: () => (window.fetch = before) };
}

export async function an_answer_that_was_overtaken_does_not_bring_a_finished_job_back() {
  const { calls, back } = held();
  const jobs = new Jobs([ROW], () => {});
  const reads = [jobs.take(news(5, { changed: ["a"] })), jobs.take(news(6, { changed: ["a"] }))];
  calls[1](6, { ...ROW, status: "delivered", over: true, pictures: [{ n: 1 }] });
  await reads[1];
  calls[0](5, { ...ROW, status: "running" });
  await reads[0];
  back();
  equal([jobs.all[0].status, jobs.all[0].over, jobs.all[0].pictures.length], ["delivered", true, 1]);
}

export async function what_the_socket_told_since_a_read_began_stays_on_top_of_it() {
  const { calls, back } = held();
  const jobs = new Jobs([ROW], () => {});
  const read = jobs.take(news(5, { changed: ["a"] }));
  await jobs.take(news(7, { jobs: [{ id: "a", state: "progress", step: 4, total: 12 }] }));
  calls[0](6, { ...ROW, status: "running", step: 2, notes: ["a word"] });
  await read;
  back();
  equal([jobs.all[0].step, jobs.all[0].notes], [4, ["a word"]]);
}

export async function after_a_start_whose_clock_was_set_back_rows_are_believed_again() {
  const { calls, back } = held();
  const jobs = new Jobs([{ ...ROW, at: 900 }], () => {});
  await jobs.take(news(900));
  const read = jobs.take(news(5, { changed: ["a"] }));
  calls[0](5, { ...ROW, status: "delivered", over: true });
  await read;
  back();
  equal(jobs.all[0].status, "delivered");
}

export function a_page_that_stays_open_for_days_keeps_the_newest_cards_and_all_that_wait() {
  const jobs = new Jobs([{ ...ROW, id: "waits" }], () => {});
  for (let n = 0; n < 100; n += 1) jobs.add([{ ...ROW, id: `job ${n}`, over: true, created: `2026-11-30T00:01:00.${100 + n}` }]);
  const ids = jobs.all.map(({ id }) => id);
  equal([ids.length, ids[0], ids.includes("job 40"), ids.includes("job 39"), ids.includes("waits")], [61, "job 99", true, false, true]);
}

export function a_job_keeps_its_place_whatever_becomes_of_it() {
  const at = (id, minute, over) => ({ ...ROW, id, over, status: over ? "delivered" : "queued", created: `2026-11-30T00:0${minute}:00` });
  const jobs = new Jobs([at("b", 2, false), at("a", 1, true)], () => {});
  jobs.add([at("c", 3, false)]);
  equal(jobs.all.map(({ id }) => id), ["c", "b", "a"]);
  jobs.add([at("b", 2, true)]);
  jobs.add([at("old", 0, true)]);
  equal(jobs.all.map(({ id }) => id), ["c", "b", "a", "old"]);
}

export function a_prompt_of_several_jobs_is_one_row_until_it_is_unfolded() {
  const of = (id, set) => ({ ...ROW, id, set });
  const jobs = [of("e", null), of("d", "x"), of("c", "x"), of("b", "x"), of("a", "y")];
  const folded = foldedRows(jobs, new Set());
  equal([...folded].map(([id, rest]) => [id, rest.map((one) => one.id)]), [["b", ["c", "d"]]]);
  equal(foldedRows(jobs, new Set(["x"])).size, 0);
}

export function questions_about_a_picture_are_one_row_where_the_last_was_asked() {
  const of = (id, key) => ({ ...ROW, id, set: null, topic: key && { key, picture: null } });
  const folded = foldedRows([of("d", "sea"), of("c", null), of("b", "hill"), of("a", "sea")], new Set());
  equal([...folded].map(([id, rest]) => [id, rest.map((one) => one.id)]), [["d", ["a"]]]);
}
