// Rows that come and go leave nothing behind, however often.
import { html, render } from "/static/vendor/lit-html/lit-html.js";
import { repeat } from "/static/vendor/lit-html/directives/repeat.js";
import { equal } from "./assert.js";

export function a_list_that_is_scrolled_through_does_not_grow() {
  const place = document.createElement("ul");
  const nodesAt = (/** @type {number} */ first) => {
    const indexes = Array.from({ length: 20 }, (_, k) => first + k);
    render(html`${repeat(indexes, (index) => index, (index) => html`<li>${index}</li>`)}`, place);
    return place.childNodes.length;
  };
  const before = nodesAt(0);
  for (let first = 20; first < 2000; first += 20) nodesAt(first);
  equal(nodesAt(0), before);
}
