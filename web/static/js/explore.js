// What channels that the reader can read have made, in one long grid.
import { readShown } from "./core/api.js";
import { Announcer, followNews, toggleFavourite } from "./core/jobs.js";
import { element, pageData, shortcuts, startPage } from "./core/page.js";
import { complain } from "./core/text.js";
import { Grid } from "./gallery/grid.js";
import { keyOf, Selection } from "./gallery/selection.js";
import { PAGE, queryOf, Source } from "./gallery/source.js";
import { Bar } from "./parts/bar.js";
import { keepTrail } from "./viewer/trail.js";

/** @import {Filters} from "./gallery/source.js" */
/** @import {Tile} from "./types.js" */

const LOOK_EVERY = 20_000; // ms: nobody tells what others make
const AROUND = 300; // pictures that the viewer knows on each side

const { pictures, newer, filters } = /** @type {{pictures: Tile[], newer: string | null, filters: Filters}} */ (pageData());
const place = element("gallery", HTMLElement);
const announcer = new Announcer();

/** @param {Tile[]} first */
const sourceOf = (first) => new Source(filters, null, () => grid.draw(), first, readShown);

/** @param {number} index */
function press(index) {
  const hrefs = [];
  for (let k = Math.max(0, index - AROUND); k < index + AROUND; k += 1) {
    const href = grid.source.at(k)?.href;
    if (href) hrefs.push(href);
  }
  history.replaceState(null, "", `${location.pathname}${location.search}${grid.first ? `#${grid.first}` : ""}`);
  keepTrail(hrefs);
}

/** @param {number} [index]  the one with the focus when not given */
function like(index) {
  const tile = grid.source.at(index ?? grid.current);
  if (tile) toggleFavourite(tile.job, tile, () => grid.draw());
}

/** Show what is new, to somebody who is at the top. */
async function look() {
  if (document.hidden || scrollY > innerHeight / 2) return;
  const query = queryOf(filters);
  query.set("limit", String(PAGE));
  const found = await readShown(query);
  const [newest] = found.pictures;
  const known = grid.source.at(0);
  if (newest && known && keyOf(newest) !== keyOf(known)) grid.show(sourceOf(found.pictures));
}

function watchFilters() {
  const form = element("filters", HTMLFormElement);
  element("apply", HTMLElement).hidden = true;
  form.addEventListener("change", () => form.requestSubmit());
}

/** @type {Grid} made when there is something to see: it takes the place of what the page says otherwise */
let grid;

function begin() {
  const source = sourceOf(newer ? [] : pictures);
  grid = new Grid(place, source, new Selection(), { press: (_, index) => press(index), mark: null, like });
  history.scrollRestoration = "manual";
  element("pager", HTMLElement).hidden = true;
  place.classList.add("live", "plain");
  grid.scrollTo(Number(location.hash.slice(1)) || 0);
  shortcuts({ l: () => like() });
  setInterval(() => look().catch(() => {}), LOOK_EVERY); // a failed look is tried again
}

const bar = new Bar(null, (jobs) => announcer.added(jobs));
watchFilters();
if (pictures.length) begin();
followNews((news) => announcer.take(news).catch(complain));
startPage();
if (location.hash !== "#prompt") bar.field.blur();
