import { render } from "/static/vendor/lit-html/lit-html.js";
import { jobCard } from "/static/js/parts/job-card.js";
import { commandOf } from "/static/js/core/text.js";
import { equal, holds } from "./assert.js";

const HOSTILE = `<img src=x onerror="window.hit=1"> "' --ar 3:2`;
const nothing = () => {};
const TOOLS = { rest: () => [], unfold: nothing, earlier: nothing, fresh: () => false, begun: () => false, act: nothing, stop: nothing, remove: nothing, use: nothing, flag: nothing, favourite: nothing, menu: nothing };
const JOB = {
  id: "abc", kind: "imagine", name: "Imagine", prompt: HOSTILE, status: "queued", over: false, created: "2026-11-26T12:00:00Z", private: false, mine: true, surface: "web", parent: null,
  error: null, position: 1, eta: null, held: false, step: null, total: null, preview: null, loading: null, pictures: [], grid: null, captions: [], scores: [], text: "", notes: [HOSTILE], actions: [], picture_actions: [], count: 4, width: null, height: null,
};

/** @param {object} more */
function drawn(more) {
  const place = document.createElement("div");
  render(jobCard({ ...JOB, ...more }, TOOLS), place);
  return place;
}

export function a_hostile_prompt_is_text_wherever_it_stands() {
  for (const more of [{}, { error: HOSTILE, over: true, status: "failed" }, { captions: [HOSTILE], kind: "describe", over: true }, { scores: [[HOSTILE, 0.5]], kind: "classify", over: true }, { text: HOSTILE, kind: "read", over: true }]) {
    const place = drawn(more);
    equal([place.querySelectorAll("[onerror], script").length, window.hit], [0, undefined]);
    holds(place.textContent.includes("onerror"), "the words are gone");
  }
}

export function the_boxes_have_their_shape_before_there_is_a_picture() {
  const boxes = [...drawn({}).querySelectorAll(".sizer")].map((box) => box.getAttribute("viewBox"));
  equal(boxes, Array(4).fill("0 0 3 2"));
  equal(drawn({ kind: "upscale", count: 1, width: 1024, height: 768 }).querySelector(".sizer").getAttribute("viewBox"), "0 0 1024 768");
}

export function a_row_keeps_its_boxes_where_somebody_saw_it_fail() {
  const failed = { ...JOB, error: "It can't.", over: true, status: "failed" };
  const boxes = (begun) => {
    const place = document.createElement("div");
    render(jobCard(failed, { ...TOOLS, begun: () => begun }), place);
    return place.querySelectorAll(".cell").length;
  };
  equal([boxes(true), boxes(false)], [4, 0]);
}

export function each_box_shows_its_part_of_the_sheet() {
  const parts = [...drawn({ status: "running", shown: "data:image/gif;base64,R0lGODlhAQABAAAAACw=" }).querySelectorAll(".previews")].map((part) => part.className.replace(/\s+/g, " ").trim());
  equal(parts, ["previews of-4", "previews of-4 right", "previews of-4 low", "previews of-4 right low"]);
}

export function a_draft_shows_the_part_of_its_number_in_any_order() {
  const pictures = [9, 1, 24].map((n) => ({ n, width: 64, height: 64, href: "", thumb: "", alt: "", favourite: false, visibility: "show" }));
  const parts = [...drawn({ sheet: true, count: 24, pictures, shown: "data:image/gif;base64,R0lGODlhAQABAAAAACw=" }).querySelectorAll(".of-sheet")];
  equal(parts.map(({ dataset }) => [dataset.row, dataset.column]), [["1", "2"], ["0", "0"], ["3", "5"]]);
}

export async function each_part_fills_its_box_and_nothing_lies_around_it() {
  const style = document.head.appendChild(Object.assign(document.createElement("link"), { rel: "stylesheet", href: "/static/app.css" }));
  await new Promise((done) => style.addEventListener("load", done));
  const place = document.body.appendChild(drawn({ status: "running", shown: "data:image/gif;base64,R0lGODlhAQABAAAAACw=" }));
  const box = place.querySelector(".cell").getBoundingClientRect();
  for (const part of place.querySelectorAll(".previews")) {
    const { padding, borderTopWidth, borderTopLeftRadius } = getComputedStyle(part);
    equal([padding, borderTopWidth, borderTopLeftRadius], ["0px", "0px", "0px"]);
    const { width, height } = part.getBoundingClientRect();
    holds(Math.abs(width - 2 * box.width) < 1 && Math.abs(height - 2 * box.height) < 1, `${width}×${height} px over boxes of ${box.width}×${box.height}`);
  }
}

export function a_command_carries_the_seed_once() {
  equal(commandOf({ prompt: "a boat" }, 7), "/imagine prompt:a boat --seed 7");
  equal(commandOf({ prompt: "a boat --seed 3" }, 7), "/imagine prompt:a boat --seed 3");
}

export async function frames_of_a_video_run_in_its_first_box() {
  const strip = Object.assign(document.createElement("canvas"), { width: 640, height: 107 }).toDataURL("image/jpeg");
  const place = document.body.appendChild(drawn({ kind: "video", group: "videos", count: 2, status: "running", width: 384, height: 256, shown: strip }));
  const [film, ...others] = place.querySelectorAll(".previews");
  await film.decode();
  await new Promise((done) => setTimeout(done));
  equal([others.length, film.style.getPropertyValue("--frames")], [0, "4"]);
  place.remove();
}

export function an_answer_stands_beside_the_picture_that_it_is_about() {
  const place = drawn({ kind: "describe", group: "answers", count: 0, over: true, status: "delivered", parent: { job: "def", n: 2 }, captions: ["a boat"] });
  equal(place.querySelector(".about-picture img").getAttribute("src"), "/files/def/2/256.webp");
}

export function other_jobs_of_a_prompt_are_a_line_under_the_first() {
  const place = document.createElement("div");
  const rest = [{ ...JOB, id: "b", over: true, pictures: [{ small: "data:,", visibility: "show" }] }, { ...JOB, id: "c" }, { ...JOB, id: "d", over: true, pictures: [{ small: "data:,", visibility: "spoiler" }] }];
  render(jobCard(JOB, { ...TOOLS, rest: () => rest }), place);
  equal([place.querySelector(".set").textContent, place.querySelectorAll(".set img").length], ["3 more of this prompt, 1 to come", 1]);
}

export function earlier_questions_stand_before_the_last_one() {
  const asked = { ...JOB, kind: "ask", group: "answers", count: 0, talk: "/talk/abc", question: "And now?", answer: "no", follows: "x", over: true, status: "delivered" };
  const place = document.createElement("div");
  render(jobCard(asked, { ...TOOLS, earlier: () => [{ question: HOSTILE, answer: "yes" }] }), place);
  equal([place.querySelectorAll(".turns li").length, place.querySelectorAll(".turns img").length], [1, 0]);
}
