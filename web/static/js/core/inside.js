// What is done otherwise where a page stands in Discord's frame, which saves no files and opens no windows.
import { t } from "./language.js";
import { linkOutside, sendToMe } from "./api.js";
import { showError, showToast } from "./text.js";

const PICTURE = /^\/files\/([a-z0-9]+)\/([0-9]+)(?:\.mp4)?$/;

/** @param {MouseEvent} event */
function onClick(event) {
  const link = event.target instanceof Element ? event.target.closest("a[href]") : null;
  if (!(link instanceof HTMLAnchorElement)) return;
  const [, job, n] = link.hasAttribute("download") ? (PICTURE.exec(link.pathname) ?? []) : [];
  if (link.origin !== location.origin) openOutside(link.href);
  else if (job && n) sendToMe(job, n).then(() => showToast(t("Sent to your direct messages")), showError);
  else if (/^\/(api|files)\//.test(link.pathname)) openPageOutside();
  else return link.removeAttribute("target"); // it opens here
  event.preventDefault();
}

/** A form whose answer would be a file. @param {SubmitEvent} event */
function onSubmit(event) {
  const form = /** @type {HTMLFormElement} */ (event.target);
  if (form.target !== "_blank") return;
  event.preventDefault();
  openPageOutside();
}

/** The page around this one asks Discord to open an address. @param {string} url */
const openOutside = (url) => window.parent.dispatchEvent(new CustomEvent("outside", { detail: url }));

/** Files are saved by a browser, from the same page. */
function openPageOutside() {
  linkOutside(location.pathname + location.search).then(openOutside).then(() => showToast(t("Download it from this page in your browser")), showError);
}

document.addEventListener("click", onClick, true);
document.addEventListener("submit", onSubmit, true);
