// What is done otherwise where a page stands in Discord's frame, which saves no files and opens no windows. Not a module
// itself: it listens before the modules are there.

{
  const PICTURE = /^\/files\/([a-z0-9]+)\/([0-9]+)(?:\.mp4)?$/;

  /** Say how it went. @param {(t: (text: string) => string) => string} words @param {(api: typeof import("./js/core/api.js")) => Promise<unknown>} work */
  const telling = async (words, work) => {
    const [api, { t, showError, showToast }] = await Promise.all([import("./js/core/api.js"), import("./js/core/text.js")]);
    await work(api).then(() => showToast(words(t)), showError);
  };

  /** The page around this one asks Discord to open an address. @param {string} url */
  const openOutside = (url) => window.parent.dispatchEvent(new CustomEvent("outside", { detail: url }));

  /** Files are saved by a browser, from the same page. */
  const openPageOutside = () =>
    telling((t) => t("Download it from this page in your browser"), async ({ linkOutside }) => openOutside(await linkOutside(location.pathname + location.search)));

  addEventListener("click", (event) => {
    const link = event.target instanceof Element ? event.target.closest("a[href]") : null;
    if (!(link instanceof HTMLAnchorElement)) return;
    const [, job, n] = link.hasAttribute("download") ? (PICTURE.exec(link.pathname) ?? []) : [];
    if (link.origin !== location.origin) openOutside(link.href);
    else if (job && n) telling((t) => t("Sent to your direct messages"), ({ sendToMe }) => sendToMe(job, n));
    else if (/^\/(api|files)\//.test(link.pathname)) openPageOutside();
    else return link.removeAttribute("target"); // it opens here
    event.preventDefault();
  }, true);

  // A form whose answer would be a file.
  addEventListener("submit", (event) => {
    if (/** @type {HTMLFormElement} */ (event.target).target !== "_blank") return;
    event.preventDefault();
    openPageOutside();
  }, true);
}
