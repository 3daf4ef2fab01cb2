// Asks which of one's newest pictures are meant.
import { html } from "../../vendor/lit-html/lit-html.js";
import { readPictures } from "../core/api.js";
import { question } from "../parts/dialog.js";

/** @import {Tile} from "../types.js" */
/** @import {Named} from "../core/api.js" */

const SHOWN = "60";

/**
 * @param {boolean} one  a single picture is wanted
 * @returns {Promise<Named[]>} none when the dialog was left
 */
export async function pickOwn(one) {
  const { pictures } = await readPictures(new URLSearchParams({ limit: SHOWN }));
  const shown = pictures.filter(({ visibility }) => visibility === "show");
  const title = one ? "Choose a picture" : "Choose pictures";
  const answer = await question(title, shown.length ? choices(shown, one) : html`<p class="muted">You have no pictures here yet.</p>`, { label: "Choose" });
  const names = answer ? answer.getAll("picture").map(String) : [];
  return names.map((name) => ({ job: name.split("/")[0] ?? "", n: Number(name.split("/")[1]) }));
}

/**
 * @param {Tile[]} tiles
 * @param {boolean} one
 */
const choices = (tiles, one) => html`<fieldset class="picks" tabindex="0"><legend class="sr">Your newest pictures</legend>
  ${tiles.map(({ job, n, small, alt }) => html`<label class="pick"><input type=${one ? "radio" : "checkbox"} name="picture" value="${job}/${n}"><img src=${small} alt=${alt} loading="lazy" width="256" height="256"></label>`)}
</fieldset>`;
