// Rows that come and go leave nothing behind, however often, and stay with what they show.
import { html } from "/static/vendor/lit-html/lit-html.js";
import { Rows } from "/static/js/core/page.js";
import { equal } from "./assert.js";

const list = () => new Rows(document.body.appendChild(document.createElement("ul")), (/** @type {string | number} */ item) => item, (item) => html`<li><button>${item}</button></li>`);
const words = (/** @type {HTMLElement} */ place) => [...place.children].map(({ textContent }) => textContent).join("");

export function a_list_that_is_scrolled_through_does_not_grow() {
  const rows = list();
  const nodesAt = (/** @type {number} */ first) => {
    rows.draw(Array.from({ length: 20 }, (_, k) => first + k));
    return rows.place.childNodes.length;
  };
  const before = nodesAt(0);
  for (let first = 20; first < 2000; first += 20) nodesAt(first);
  equal(nodesAt(0), before);
}

export function rows_stand_in_the_order_of_their_items() {
  const rows = list();
  for (const order of ["abc", "cab", "", "dcb", "bxdc", "b"]) {
    rows.draw([...order]);
    equal(words(rows.place), order);
  }
}

export function a_row_keeps_its_elements_and_the_focus_when_others_come_and_go() {
  const rows = list();
  rows.draw([..."abc"]);
  const button = rows.place.querySelectorAll("button")[1];
  button?.focus();
  for (const order of ["xabc", "bc", "bca", "cb", "b"]) {
    rows.draw([...order]);
    equal(document.activeElement, button);
  }
}
