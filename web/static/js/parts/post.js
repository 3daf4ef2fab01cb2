// A picture of one's own, posted to a channel on Discord where one may write.
import { html } from "../../vendor/lit-html/lit-html.js";
import { ask, change } from "../core/api.js";
import { complain, toast } from "../core/text.js";
import { question } from "./dialog.js";

/** @typedef {{id: string, name: string, channels: {id: string, name: string}[]}} Server */

/** Ask for a channel and post there. @param {string} job @param {number} n  from 1 */
export async function post(job, n) {
  try {
    const { servers } = /** @type {{servers: Server[]}} */ (await ask("/api/channels", {}));
    if (!servers.length) return toast("There is no channel on Discord where both you and the bot may write.");
    const group = (/** @type {Server} */ { id, name, channels }) => html`<optgroup label=${name}>${channels.map((one) => html`<option value="${id}/${one.id}">#${one.name}</option>`)}</optgroup>`;
    const answer = await question("Post to a channel", html`<label class="stacked"><span>Whoever reads it sees the picture with its prompt, and your name</span><select name="place" aria-label="Channel">${servers.map(group)}</select></label>`, { label: "Post" });
    if (!answer) return;
    const [server, channel] = String(answer.get("place")).split("/");
    await change("POST", "/api/posts", { job, n, server, channel });
    toast("Posted");
  } catch (error) {
    complain(error);
  }
}
