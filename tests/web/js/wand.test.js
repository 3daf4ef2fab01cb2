import { floodFill } from "/static/editor/mask.js";
import { equal } from "./assert.js";

const [WIDTH, HEIGHT] = [61, 37];

/** What hangs together with a place, looked for pixel by pixel. */
function slowly(pixels, start, tolerance) {
  const found = new Uint8Array(WIDTH * HEIGHT);
  const isLike = (at) => [0, 1, 2, 3].every((part) => Math.abs(pixels[4 * at + part] - pixels[4 * start + part]) <= tolerance);
  const todo = [start];
  while (todo.length) {
    const at = todo.pop();
    if (found[at] || !isLike(at)) continue;
    found[at] = 1;
    const x = at % WIDTH;
    if (x > 0) todo.push(at - 1);
    if (x < WIDTH - 1) todo.push(at + 1);
    if (at >= WIDTH) todo.push(at - WIDTH);
    if (at < WIDTH * (HEIGHT - 1)) todo.push(at + WIDTH);
  }
  return found;
}

export function the_wand_finds_every_pixel_that_hangs_together_and_no_other() {
  let seed = 7;
  const random = (most) => (seed = (seed * 48271) % 2147483647) % most;
  for (let round = 0; round < 200; round++) {
    const shades = 2 + random(6);
    const pixels = Uint8ClampedArray.from({ length: 4 * WIDTH * HEIGHT }, (_, at) => (at % 4 === 3 ? 255 : 20 * random(shades)));
    for (let at = 0; at < pixels.length; at += 4) pixels[at + 1] = pixels[at + 2] = 0; // one channel tells
    const [start, tolerance] = [random(WIDTH * HEIGHT), 20 * random(3)];
    const filling = floodFill(pixels, WIDTH, HEIGHT, start % WIDTH, Math.floor(start / WIDTH), tolerance);
    let step = filling.next();
    while (!step.done) step = filling.next();
    equal(step.value.join(""), slowly(pixels, start, tolerance).join(""));
  }
}
