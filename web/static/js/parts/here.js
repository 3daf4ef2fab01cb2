// What holds for this browser alone: the theme, whether letters are shortcuts.
import { html, render } from "../../vendor/lit-html/lit-html.js";
import { lettersOn, setLetters, setTheme, theme, THEMES } from "../core/page.js";
import { capital } from "../core/text.js";

/** Fill the section #here of a page. */
export function showHere() {
  const place = document.getElementById("here");
  if (!place) return;
  place.hidden = false;
  const chooseTheme = (/** @type {Event} */ event) => {
    const { value } = /** @type {HTMLSelectElement} */ (event.target);
    setTheme(THEMES.find((one) => one === value) ?? "system");
  };
  const chooseLetters = (/** @type {Event} */ event) => setLetters(/** @type {HTMLInputElement} */ (event.target).checked);
  render(
    html`<h2>In this browser</h2>
      <div class="rows">
        <div class="row">
          <label for="here-theme">Theme</label>
          <select id="here-theme" @change=${chooseTheme}>${THEMES.map((one) => html`<option value=${one} ?selected=${one === theme()}>${capital(one)}</option>`)}</select>
        </div>
        <div class="row">
          <div><label for="here-letters">Letters as shortcuts</label><p class="muted small">Off: only keys such as Escape and the arrows act outside of fields.</p></div>
          <input class="switch" type="checkbox" role="switch" id="here-letters" .checked=${lettersOn()} @change=${chooseLetters}>
        </div>
      </div>`,
    place,
  );
}
