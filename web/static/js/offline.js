// What a browser shows while it doesn't reach the studio: the last pictures that the service worker has kept.
import { elementOf, startPage } from "./core/page.js";

/** @typedef {{thumb: string, alt: string, width: number, height: number}} Kept */

async function showKept() {
  const name = (await caches.keys()).find((one) => one.startsWith("pictures "));
  const kept = name ? await caches.open(name) : null;
  const told = await kept?.match("/offline");
  const pictures = told ? /** @type {Kept[]} */ (await told.json()) : [];
  const section = elementOf("kept", HTMLElement);
  for (const { thumb, alt, width, height } of pictures) {
    const found = await kept?.match(thumb);
    if (!found) continue;
    const img = Object.assign(new Image(width, height), { alt, src: URL.createObjectURL(await found.blob()) });
    const place = document.createElement("li");
    place.append(img);
    section.querySelector("ul")?.append(place);
    section.hidden = false;
  }
}

function startOffline() {
  const again = elementOf("again", HTMLButtonElement);
  again.hidden = false;
  again.addEventListener("click", () => location.reload());
  addEventListener("online", () => location.reload());
  if (globalThis.caches) showKept().catch(() => {}); // what isn't kept isn't shown
}

startPage({ offline: startOffline });
