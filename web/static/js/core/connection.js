// The page's line to the studio: one WebSocket a tab. It notices a dead line, comes back by itself, and a banner says when it is away.
import { ask, pause, toSignIn } from "./api.js";
import { person } from "./kept.js";

/** @import {News} from "../types.js" */

const SETTLED = 300; // ms open until it counts as back: a full house closes at once
const SILENT = 3000; // ms away before the banner shows
const DEAD = 40_000; // ms without a message: the studio says something every 25 s
const LOOK = 1000; // ms between two looks at the clock
const KEPT = 6; // connections that a browser keeps to one address
const GIVEN = 1500; // ms for them to answer
const SMALL = new URL("../../favicon.svg", import.meta.url).pathname;
const SIGNED_OUT = 4401;
const AWAY = "The studio doesn't answer. Your jobs go on; this page comes back by itself.";
const WHY = /** @type {Record<number, string>} by code of closing */ ({
  4429: "Too many tabs are open for this one to stay live. Close some; it comes back by itself.",
  1013: "Many people are here, so this page doesn't show what is new. It comes back by itself.",
});

/**
 * Hear what is new from the page's point on. After a time away the studio tells what was missed, or says that the
 * news aren't complete: then all is read again.
 * @param {(news: News) => void} onNews
 */
export function live(onNews) {
  let tries = 0;
  let since = document.body.dataset.point ?? "";
  let heard = 0; // ms, by the clock
  /** @type {WebSocket | null} */
  let socket = null;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  let again;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  let silence;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  let calm;

  const open = () => {
    clearTimeout(again);
    heard = Date.now();
    let wasOpen = false;
    const one = (socket = new WebSocket(new URL(`/api/live?since=${since}&person=${person()}`, location.href.replace(/^http/, "ws"))));
    one.onopen = () => {
      wasOpen = true;
      heard = Date.now();
      calm = setTimeout(() => {
        tries = 0;
        clearTimeout(silence);
        silence = undefined;
        tell("");
      }, SETTLED);
    };
    one.onmessage = ({ data }) => {
      heard = Date.now();
      const news = JSON.parse(data || "{}");
      if (news.at === undefined) return; // a sign of life
      since = news.at;
      onNews(/** @type {News} */ (news));
    };
    one.onclose = ({ code }) => {
      if (code === SIGNED_OUT) return toSignIn();
      if (!wasOpen) ask("/api/settings", {}).catch(() => {}); // a browser doesn't say why it wasn't let in; this does
      lost(code);
      again = setTimeout(open, pause(tries++));
    };
  };
  const lost = (/** @type {number} */ code) => {
    socket = null;
    clearTimeout(calm);
    silence ??= setTimeout(() => tell(WHY[code] ?? AWAY), SILENT);
  };
  const look = () => {
    if (!socket || Date.now() - heard < DEAD) return;
    socket.onopen = socket.onmessage = socket.onclose = null; // it may take minutes to notice by itself
    socket.close();
    lost(0);
    sweep();
    open();
  };
  const wake = () => (socket ? look() : open());
  setInterval(look, LOOK);
  addEventListener("online", wake);
  document.addEventListener("visibilitychange", () => document.hidden || wake());
  open();
}

/** Let the browser drop the connections that it keeps for other calls, where they are as dead: it asks for nothing else by them. */
function sweep() {
  const limit = new AbortController();
  setTimeout(() => limit.abort(), GIVEN);
  for (let n = 0; n < KEPT; n += 1) fetch(`${SMALL}?${n}`, { signal: limit.signal, cache: "no-store" }).catch(() => {});
}

/** @param {string} text  "" = all is well */
function tell(text) {
  const banner = document.getElementById("banner");
  if (!banner || banner.textContent === text) return;
  banner.textContent = text;
  banner.hidden = !text;
}
