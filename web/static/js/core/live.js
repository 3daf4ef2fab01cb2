// One WebSocket a tab. It comes back by itself, and a banner says when it is away.

/** @import {News} from "../types.js" */

const FIRST = 500; // ms until the first new try
const LONGEST = 15_000;
const SETTLED = 300; // ms open until it counts as back: a full house closes at once
const SILENT = 3000; // ms away before the banner shows
const SIGNED_OUT = 4401;
const TOO_MANY = 4429;
const AWAY = "The studio doesn't answer. Your jobs go on; this page comes back by itself.";
const CROWDED = "Too many tabs are open for this one to stay live. Close some; it comes back by itself.";

/**
 * ms to wait before try number `tries`, from 0: doubled each time, and spread so that not all tabs come at once.
 * @param {number} tries
 * @param {number} [chance]  0 to 1
 */
export const pause = (tries, chance = Math.random()) => Math.min(LONGEST, FIRST * 2 ** tries) * (0.75 + chance / 2);

/**
 * @param {(news: News) => void} onNews
 * @param {() => void} onBack  the socket was away: read again what may have been missed
 */
export function live(onNews, onBack) {
  let tries = 0;
  let missed = false;
  let since = document.body.dataset.point ?? ""; // what came after the page was made is told as well
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  let silence;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  let calm;

  const open = () => {
    const socket = new WebSocket(new URL(`/api/live?since=${since}`, location.href.replace(/^http/, "ws")));
    socket.onopen = () => {
      since = "";
      if (missed) onBack();
      missed = false;
      calm = setTimeout(() => {
        tries = 0;
        clearTimeout(silence);
        silence = undefined;
        tell("");
      }, SETTLED);
    };
    socket.onmessage = (event) => onNews(/** @type {News} */ (JSON.parse(event.data)));
    socket.onclose = (event) => {
      if (event.code === SIGNED_OUT) return location.assign("/in");
      missed = true;
      clearTimeout(calm);
      silence ??= setTimeout(() => tell(event.code === TOO_MANY ? CROWDED : AWAY), SILENT);
      setTimeout(open, pause(tries++));
    };
  };
  open();
}

/** @param {string} text  "" = all is well */
function tell(text) {
  const banner = document.getElementById("banner");
  if (!banner || banner.textContent === text) return;
  banner.textContent = text;
  banner.hidden = !text;
}
