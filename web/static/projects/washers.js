// An example to begin with: pictures of washers, drawn here, in a project of one's own that only has to be trained.
import { fetchJson, sendJson } from "../js/core/api.js";

const SIDE = 256; // px
const GOOD = 12;
const FAULTS = /** @type {const} */ (["scratched", "broken"]);
const EACH = 2; // pictures of each fault

/**
 * Draw a washer as a camera above a belt sees it: never twice the same light, grain or turn.
 * @param {number} seed
 * @param {typeof FAULTS[number] | ""} fault
 * @returns {Promise<File>}
 */
export async function drawWasher(seed, fault) {
  const canvas = Object.assign(document.createElement("canvas"), { width: SIDE, height: SIDE });
  const pen = /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d"));
  const random = numbers(seed);
  const [middle, light, turn] = [SIDE / 2, 0.94 + 0.12 * random(), 0.2 * (random() - 0.5)];
  const grey = (/** @type {number} */ value) => `rgb(${[1, 1, 1.03].map((tint) => Math.round(value * light * tint)).join()})`;
  pen.fillStyle = grey(62);
  pen.fillRect(0, 0, SIDE, SIDE);
  pen.translate(middle, middle);
  pen.rotate(turn);
  const metal = pen.createConicGradient(0, 0, 0);
  for (let step = 0; step <= 8; step += 1) metal.addColorStop(step / 8, grey(step % 2 ? 205 : 160));
  pen.fillStyle = metal;
  pen.beginPath();
  pen.arc(0, 0, 92, 0, 2 * Math.PI);
  pen.arc(0, 0, 42, 0, 2 * Math.PI, true);
  pen.fill();
  pen.lineWidth = 3;
  pen.strokeStyle = grey(120);
  for (const radius of [90, 44]) {
    pen.beginPath();
    pen.arc(0, 0, radius, 0, 2 * Math.PI);
    pen.stroke();
  }
  if (fault) spoil(pen, fault, random, grey);
  pen.resetTransform();
  const pixels = pen.getImageData(0, 0, SIDE, SIDE);
  for (let at = 0; at < pixels.data.length; at += 4) {
    const grain = 10 * (random() - 0.5);
    for (let channel = 0; channel < 3; channel += 1) pixels.data[at + channel] = (pixels.data[at + channel] ?? 0) + grain;
  }
  pen.putImageData(pixels, 0, 0);
  const blob = await new Promise((done) => canvas.toBlob(done, "image/png"));
  return new File([/** @type {Blob} */ (blob)], `washer-${fault || "good"}-${seed}.png`, { type: "image/png" });
}

/**
 * @param {CanvasRenderingContext2D} pen
 * @param {typeof FAULTS[number]} fault
 * @param {() => number} random
 * @param {(value: number) => string} grey
 */
function spoil(pen, fault, random, grey) {
  pen.beginPath();
  if (fault === "broken") {
    pen.fillStyle = grey(62);
    pen.moveTo(30, 0);
    pen.lineTo(100, -22 - 10 * random());
    pen.lineTo(100, 14 + 10 * random());
    return pen.fill();
  }
  pen.strokeStyle = grey(70);
  pen.lineWidth = 4;
  pen.moveTo(50, -8);
  pen.quadraticCurveTo(66, 14 * random(), 86, 12 + 8 * random());
  pen.stroke();
}

/** Numbers from 0 to 1 that only look random (mulberry32). @param {number} seed */
function numbers(seed) {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** Make the project, and put the pictures into it. Returns its page. */
export async function makeWashers() {
  const { id, href } = /** @type {{id: string, href: string}} */ (await sendJson("POST", "/api/projects", { name: "washers", task: "anomaly" }));
  for (const label of /** @type {const} */ (["good", ...FAULTS])) {
    const body = new FormData();
    body.append("label", label);
    const count = label === "good" ? GOOD : EACH;
    for (let number = 0; number < count; number += 1) body.append("files", await drawWasher(100 * (1 + label.length) + number, label === "good" ? "" : label));
    await fetchJson(`/api/projects/${id}/pictures`, { method: "POST", body });
  }
  return href;
}
