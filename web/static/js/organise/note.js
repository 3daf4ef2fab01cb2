// What the page before has put into the trash, for the next one to tell.

const KEY = "atelier.away";

/** @param {string} name */
export function noteAway(name) {
  try {
    sessionStorage.setItem(KEY, name);
  } catch {
    // Shut off: the trash page has the way back.
  }
}

/**
 * Tell what was noted, with a way back.
 * @param {() => void | Promise<void>} back  when it is taken back
 */
export async function tellAway(back) {
  try {
    const name = sessionStorage.getItem(KEY);
    sessionStorage.removeItem(KEY);
    if (name) (await import("./away.js")).tell([name], back);
  } catch {
    // Shut off: nothing was kept.
  }
}
