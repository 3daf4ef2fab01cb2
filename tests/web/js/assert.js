// What the tests here compare with.

/**
 * @param {unknown} found
 * @param {unknown} wanted
 */
export function equal(found, wanted) {
  const [a, b] = [JSON.stringify(found), JSON.stringify(wanted)];
  if (a !== b) throw new Error(`found ${a}, wanted ${b}`);
}

/**
 * @param {boolean} holds
 * @param {string} what
 */
export function holds(holds, what) {
  if (!holds) throw new Error(what);
}
