import { changed } from "/static/js/core/jobs.js";
import { pause } from "/static/js/core/live.js";
import { waiting } from "/static/js/parts/job-card.js";
import { step } from "/static/js/parts/step.js";
import { equal, holds } from "./assert.js";

const QUEUED = { id: "a", status: "queued", over: false, position: 3, eta: 40, held: false, step: null, total: null, preview: null, loading: null, error: null };

export function a_job_goes_from_its_place_to_its_steps() {
  equal(waiting(changed(QUEUED, { id: "a", state: "queued", position: 1, eta: 95 })), "Place 1 in the queue, about 2 min");
  const loading = changed(QUEUED, { id: "a", state: "loading", model: "demo", fraction: 0.4 });
  equal([loading.position, step(loading)], [null, ["Loading demo, 40 %", 0.4]]);
  const drawn = changed(loading, { id: "a", state: "progress", step: 6, total: 12, preview: "/p/6" });
  equal([drawn.loading, drawn.preview, step(drawn)], [null, "/p/6", ["50 %", 0.5]]);
}

export function a_preview_stays_when_a_step_comes_without_one() {
  const drawn = changed({ ...QUEUED, preview: "/p/2" }, { id: "a", state: "progress", step: 3, total: 12, preview: null });
  equal(drawn.preview, "/p/2");
}

export function what_comes_late_does_not_wake_a_job_that_is_over() {
  const failed = changed(QUEUED, { id: "a", state: "failed", error: "The worker is gone." });
  equal([failed.over, failed.error], [true, "The worker is gone."]);
  equal(changed(failed, { id: "a", state: "progress", step: 5, total: 12 }), failed);
}

export function a_held_queue_and_a_restart_are_told() {
  equal(waiting(changed(QUEUED, { id: "a", state: "queued", position: 1, held: true })), "On hold: the queue is paused");
  equal(waiting(changed(QUEUED, { id: "a", state: "paused" })), "The studio restarts; this goes on by itself");
}

export function tries_come_later_and_later_but_not_over_twenty_seconds() {
  equal([0, 1, 2].map((tries) => pause(tries, 0.5)), [500, 1000, 2000]);
  holds(pause(50, 1) <= 20_000 && pause(0, 0) >= 300, "out of bounds");
}
