// The gallery: all pictures in one long grid, of which only what is seen is in the document.
import { html } from "../vendor/lit-html/lit-html.js";
import { Announcer } from "./core/jobs.js";
import { element, emptyState, pageData, startPage } from "./core/page.js";
import { Gallery } from "./gallery/gallery.js";
import { tellAway } from "./organise/note.js";
import { offerSmartFolder } from "./organise/smart.js";
import { pictureKeys, pictureTools } from "./organise/tools.js";
import { Bar } from "./parts/bar.js";
import { joinFields } from "./search/fields.js";

/** @import {Filters} from "./gallery/source.js" */
/** @import {Month, Tile} from "./types.js" */

const data = /** @type {{pictures: Tile[], months: Month[], filters: Filters, newer: string | null, note: string}} */ (pageData());

/** @param {Filters} filters */
function empty({ q, kind, favourite }) {
  if (q || kind || favourite) return emptyState("search", "No picture fits", "Try fewer words or another filter.", html`<a class="button quiet" href="/pictures">Show all pictures</a>`);
  return emptyState("pictures", "No pictures yet", "What you make here and in Discord is kept here.", html`<a class="button" href="/">Make the first one</a>`);
}

const announcer = new Announcer();
const bar = new Bar(null, (jobs) => announcer.added(jobs));
data.filters.q = joinFields();
const filtered = offerSmartFolder(element("save", HTMLElement), data.filters);
const gallery = new Gallery(data, announcer, { fixed: {}, counted: null, tools: pictureTools, empty, filtered });
pictureKeys(gallery);
startPage();
tellAway(() => gallery.renew());
if (location.hash !== "#prompt") bar.field.blur();
