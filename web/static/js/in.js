// Signing in by a link: says whose it is first, and spends it only when the button is pressed.
import { html, render } from "../vendor/lit-html/lit-html.js";
import { readSignIn, signIn } from "./core/api.js";
import { element, icon, startPage } from "./core/page.js";
import { plain } from "./core/text.js";

/** @import {TemplateResult} from "../vendor/lit-html/lit-html.js" */

const panel = element("sign-in", HTMLElement);
const token = location.hash.slice(1);

/** Where somebody wanted to go: a page of ours. */
function next() {
  const wanted = new URL(new URLSearchParams(location.search).get("next") ?? "/", location.href);
  return wanted.origin === location.origin && wanted.pathname !== "/in" ? wanted.href : "/";
}

/** @param {TemplateResult} content */
function show(content) {
  const brand = panel.querySelector(".brand");
  panel.replaceChildren(...(brand ? [brand] : []));
  const place = document.createElement("div");
  place.className = "panel-body";
  panel.append(place);
  render(content, place);
}

/** @param {string} name */
function offer(name) {
  const spend = async () => {
    try {
      await signIn({ token });
      location.replace(next());
    } catch (error) {
      refuse(error);
    }
  };
  show(html`<h1>Sign in as ${name}</h1>
    <p class="muted">This browser then sees and makes what ${name} may see and make.</p>
    <button class="button" type="button" @click=${spend}>Sign in as ${name}</button>
    <p class="muted small">Not you? Close this page. The link is spent only by the button.</p>`);
}

/** @param {unknown} error */
function refuse(error) {
  show(html`<h1>This link doesn't work</h1>
    <div class="trouble">${icon("alert")}<p>${plain(error instanceof Error ? error.message : String(error))}</p></div>
    <p>Type <kbd>/web</kbd> in Discord for a new one, or open the address that <kbd>make run</kbd> prints.</p>`);
}

if (token) {
  history.replaceState(null, "", location.pathname + location.search); // the token stays out of the history
  show(html`<h1>Sign in</h1><p class="muted">Looking at your link</p><progress aria-label="Looking at your link"></progress>`);
  readSignIn(token).then(({ name }) => offer(name), refuse);
}
addEventListener("hashchange", () => location.hash && location.reload()); // a link that is opened on this very page
startPage();
