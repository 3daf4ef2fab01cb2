// Speaks to the Discord client around this page: protocol version 1 of @discord/embedded-app-sdk 2.5 (MIT),
// [opcode, data] by postMessage. https://github.com/discord/embedded-app-sdk
import { t } from "./text.js";

/** @typedef {{resolve: (data: unknown) => void, reject: (error: Error) => void}} Waiting */
/** @typedef {{cmd?: string, evt?: string | null, nonce?: string | null, message?: string, data?: {message?: string}}} Message */

const HANDSHAKE = 0;
const FRAME = 1;
const CLOSE = 2;
const PATIENCE = 15_000; // ms until Discord has to be ready
const GIVEN = ["frame_id", "instance_id", "platform"]; // what Discord adds to the address

export class DiscordClient {
  /** @type {Map<string, Waiting>} by what their answer is known by */
  #waiting = new Map();
  /** @type {Window} around this page, or what has opened that in a window of its own */
  #client = window.parent.opener ?? window.parent;
  #origins;

  /**
   * Throws outside of Discord.
   * @param {string} id  of the application
   * @param {string[]} origins  of Discord's pages
   */
  constructor(id, origins) {
    const given = new URLSearchParams(location.search);
    if (GIVEN.some((name) => !given.get(name)) || window.parent === window) throw new Error(t("This page is opened in Discord, by an app's Activity"));
    this.instance = given.get("instance_id") ?? "";
    this.#origins = origins;
    this.ready = this.#answerTo("READY");
    setTimeout(() => this.#settle("READY", new Error(t("Discord doesn't answer"))), PATIENCE);
    addEventListener("message", (event) => this.#take(event));
    this.#send(HANDSHAKE, { v: 1, encoding: "json", client_id: id, frame_id: given.get("frame_id"), sdk_version: "2.5.0" });
  }

  /**
   * What Discord answers to a command.
   * @param {string} cmd
   * @param {object} args
   * @returns {Promise<unknown>}
   */
  ask(cmd, args) {
    const nonce = crypto.randomUUID();
    const answer = this.#answerTo(nonce);
    this.#send(FRAME, { cmd, args, nonce });
    return answer;
  }

  /** @param {string} key @returns {Promise<unknown>} */
  #answerTo(key) {
    return new Promise((resolve, reject) => this.#waiting.set(key, { resolve, reject }));
  }

  /** @param {number} opcode @param {object} data */
  #send(opcode, data) {
    this.#client.postMessage([opcode, data], document.referrer ? new URL(document.referrer).origin : "*");
  }

  /** @param {MessageEvent} event */
  #take({ source, origin, data }) {
    if (source !== this.#client || !this.#origins.includes(origin) || !Array.isArray(data)) return;
    const [opcode, told] = /** @type {[number, Message]} */ (data);
    const error = new Error(told.data?.message ?? told.message ?? t("Discord has closed this page"));
    if (opcode === CLOSE) for (const key of this.#waiting.keys()) this.#settle(key, error);
    if (opcode === FRAME) this.#settle(String(told.cmd === "DISPATCH" ? told.evt : told.nonce), told.evt === "ERROR" ? error : told.data);
  }

  /** @param {string} key @param {unknown} answer */
  #settle(key, answer) {
    const waiting = this.#waiting.get(key);
    this.#waiting.delete(key);
    if (answer instanceof Error) waiting?.reject(answer);
    else waiting?.resolve(answer);
  }
}
