// The wand: what looks like the place that was pressed, found in slices so that the page goes on meanwhile. Pure.

const SLICE = 200_000; // px between two looks at the clock

/**
 * The pixels around a place whose colour is within `tolerance` of its own in every channel, 1 = found. Yields now and then.
 * @param {Uint8ClampedArray} pixels  RGBA
 * @param {number} width
 * @param {number} height
 * @param {number} x
 * @param {number} y
 * @param {number} tolerance  0 to 255
 * @returns {Generator<undefined, Uint8Array>}
 */
export function* flood(pixels, width, height, x, y, tolerance) {
  const found = new Uint8Array(width * height);
  const start = y * width + x;
  const [r, g, b, a] = pixels.subarray(4 * start, 4 * start + 4);
  const near = (/** @type {number | undefined} */ one, /** @type {number | undefined} */ other) => Math.abs((one ?? 0) - (other ?? 0)) <= tolerance;
  const like = (/** @type {number} */ at) => !found[at] && near(pixels[4 * at], r) && near(pixels[4 * at + 1], g) && near(pixels[4 * at + 2], b) && near(pixels[4 * at + 3], a);
  const todo = [start];
  let since = 0;
  for (let at = todo.pop(); at !== undefined; at = todo.pop()) {
    if (!like(at)) continue;
    const row = at - (at % width);
    let [from, to] = [at, at];
    while (from > row && like(from - 1)) from--;
    while (to < row + width - 1 && like(to + 1)) to++;
    found.fill(1, from, to + 1);
    for (const way of [-width, width]) {
      for (let next = from + way, isOpen = false; next <= to + way && next >= 0 && next < found.length; next++) {
        const isLike = like(next);
        if (isLike && !isOpen) todo.push(next);
        isOpen = isLike;
      }
    }
    if ((since += to - from + 1) < SLICE) continue;
    since = 0;
    yield;
  }
  return found;
}
