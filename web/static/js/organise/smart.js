// Offers to keep what a gallery looks for as a smart folder.
import { complain } from "../core/text.js";
import { addressOf } from "../gallery/source.js";

/** @import {Filters} from "../gallery/source.js" */

/**
 * Show the button while there is something to keep. Returns what to call when the filters change.
 * @param {HTMLElement} button
 * @param {Filters} filters
 */
export function offerSmartFolder(button, filters) {
  let query = "";
  const filtered = (/** @type {Filters} */ now) => {
    query = addressOf(now).toString();
    button.hidden = !query;
  };
  button.addEventListener("click", () => save(query).catch(complain));
  filtered(filters);
  return filtered;
}

/** @param {string} query */
async function save(query) {
  const { saveSearch } = await import("./choose.js");
  await saveSearch(query);
}
