// The page of shares works by itself; this says times as people do.
import { ago } from "../core/text.js";
import { startPage } from "../core/page.js";

for (const time of document.querySelectorAll("#shares time")) {
  if (!(time instanceof HTMLTimeElement)) continue;
  time.title = time.dateTime;
  time.textContent = ago(time.dateTime, Date.parse(time.dateTime) + 8 * 86_400_000); // the date
}
startPage();
