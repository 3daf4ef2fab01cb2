// A sentence that the page before has left for the next one to tell.
import { toast } from "../js/core/text.js";

const KEY = "atelier.said";

/** @param {string} sentence */
export function keepSaid(sentence) {
  try {
    sessionStorage.setItem(KEY, sentence);
  } catch {
    // Shut off: the page shows what there is.
  }
}

export function tellKept() {
  try {
    const sentence = sessionStorage.getItem(KEY);
    sessionStorage.removeItem(KEY);
    if (sentence) toast(sentence);
  } catch {
    // Shut off: nothing was kept.
  }
}
