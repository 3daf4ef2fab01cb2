// The gallery: all pictures in one long grid, of which only what is seen is in the document.
import { pageData } from "./core/page.js";
import { shortcuts } from "./core/shortcuts.js";
import { Announcer } from "./parts/announce.js";
import { Bar } from "./parts/bar.js";
import { startPage } from "./parts/shell.js";
import { Gallery } from "./gallery/gallery.js";
import { joinFields } from "./search/fields.js";

/** @import {Month, Tile} from "./types.js" */
/** @import {Filters} from "./gallery/source.js" */

const data = /** @type {{pictures: Tile[], months: Month[], filters: Filters, newer: string | null, note: string}} */ (pageData());

const announcer = new Announcer();
const bar = new Bar(null, (jobs) => announcer.added(jobs));
data.filters.q = joinFields();
const gallery = new Gallery(data, announcer);
shortcuts({
  l: () => gallery.like(),
  Escape: () => gallery.bulk.clear(),
});
startPage();
if (location.hash !== "#prompt") bar.field.blur();
