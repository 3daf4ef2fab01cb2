// The page that Discord opens: signs somebody in by Discord, and holds the studio's pages in a frame. They come and
// go there, while the connection to Discord, which would end with its page, stays here.
import { t } from "./core/text.js";
import { sendJson } from "./core/api.js";
import { DiscordClient } from "./core/discord.js";

const { client: id = "", clients = "" } = document.body.dataset;
const place = /** @type {HTMLElement} */ (document.getElementById("place"));
const SIGNED_OUT = 4401; // as core/jobs.js has it
const PAUSE = 10_000; // ms until a lost line is tried again
/** @type {DiscordClient} */
let discord;

/**
 * Say something, with one thing to do about it.
 * @param {string} words
 * @param {string} [label]
 * @param {() => void} [work]
 */
function say(words, label, work) {
  place.replaceChildren(Object.assign(document.createElement("p"), { textContent: words }));
  if (!label || !work) return;
  const button = Object.assign(document.createElement("button"), { textContent: label, className: "button", type: "button" });
  button.addEventListener("click", work);
  place.append(button);
  button.focus();
}

/** Only Discord opens what is outside of its frame. @param {string} url */
const openOutside = (url) => discord.ask("OPEN_EXTERNAL_LINK", { url }).catch(() => window.open(url));

async function signIn() {
  say(t("Signing you in …"));
  try {
    discord ??= new DiscordClient(id, clients.split(" "));
    const [begun] = await Promise.all([sendJson("POST", "/api/activity/begin", {}), discord.ready]);
    const asked = { client_id: id, response_type: "code", scope: ["identify"], prompt: "none", .../** @type {object} */ (begun) };
    const { code } = /** @type {{code: string}} */ (await discord.ask("AUTHORIZE", asked));
    const { state } = /** @type {{state: string}} */ (begun);
    const { page, link } = /** @type {{page?: string, link?: string}} */ (await sendJson("POST", "/api/activity/sign-in", { code, state, instance: discord.instance }));
    if (link) say(t("Discord's app doesn't keep you signed in here. Open the studio in your browser instead."), t("Open in the browser"), () => openOutside(link));
    else {
      show(page ?? "/");
      follow();
    }
  } catch (error) {
    say(t("You aren't signed in: {0}.", error instanceof Error ? error.message : String(error)).replace(/\.\.$/, "."), t("Try again"), signIn);
  }
}

/** @param {string} page */
function show(page) {
  const frame = Object.assign(document.createElement("iframe"), { src: page, title: t("Atelier") });
  frame.addEventListener("load", () => {
    if (frame.contentWindow?.location.pathname === "/in") say(t("You are signed out."), t("Sign in"), signIn);
    else frame.contentWindow?.focus(); // not the frame: that takes the focus from what has it in the page
  });
  place.replaceChildren(frame);
}

/** Discord opens no second one: a later press there leads this one on. */
function follow() {
  const line = new WebSocket(new URL(`/api/live?instance=${encodeURIComponent(discord.instance)}`, location.href.replace(/^http/, "ws")));
  line.onmessage = ({ data }) => {
    const { page } = /** @type {{page?: string}} */ (JSON.parse(data));
    const shown = place.querySelector("iframe")?.contentWindow?.location;
    if (page && shown && page !== shown.pathname + shown.search) shown.assign(page);
  };
  line.onclose = ({ code }) => code === SIGNED_OUT || setTimeout(follow, PAUSE);
}

addEventListener("outside", (event) => openOutside(/** @type {CustomEvent<string>} */ (event).detail));
signIn();
