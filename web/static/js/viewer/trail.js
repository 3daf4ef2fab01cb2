// The way through the pictures: the page that was left keeps its order, so that the viewer knows what comes next.

const KEY = "atelier.trail";
const MOST = 600;

/**
 * @param {string[]} hrefs  as they stood on the page
 * @param {string} [back]  where the way began
 */
export function keepTrail(hrefs, back = location.pathname + location.search + location.hash) {
  try {
    sessionStorage.setItem(KEY, JSON.stringify({ hrefs: hrefs.slice(0, MOST), back }));
  } catch {
    // Shut off: the viewer then knows the pictures of its own job only.
  }
}

/** @returns {{hrefs: string[], back: string} | null} */
function trail() {
  try {
    return /** @type {{hrefs: string[], back: string} | null} */ (JSON.parse(sessionStorage.getItem(KEY) ?? "null"));
  } catch {
    return null;
  }
}

/**
 * The pictures before and after this one, and the page to go back to. `own`: those of its job, for when the
 * way doesn't lead past here.
 * @param {string} here
 * @param {string[]} own
 * @returns {{before?: string, after?: string, back: string | null}}
 */
export function around(here, own) {
  const known = trail();
  const hrefs = known?.hrefs.includes(here) ? known.hrefs : own;
  const at = hrefs.indexOf(here);
  return { before: hrefs[at - 1], after: at < 0 ? undefined : hrefs[at + 1], back: known?.back ?? null };
}
