// What can't wait for the modules. Not a module itself: it runs before the first paint.

// The theme that was chosen on an earlier visit.
try {
  const theme = localStorage.getItem("atelier.theme");
  if (theme) document.documentElement.dataset.theme = theme;
} catch {
  // Storage is shut off: the system's theme stays.
}
document.documentElement.classList.add("js");

// As an app: the service worker is told who is signed in, so that it keeps nobody else's pictures. No other site's frame
// has one.
{
  const here = /** @type {HTMLScriptElement} */ (document.currentScript).src;
  /** @param {Event} [event]  that a browser installs by */
  const offer = (event) => {
    event?.preventDefault();
    import(new URL("js/install.js", here).href).then(({ offerInstall }) => offerInstall(event));
  };
  /** @typedef {{createScriptURL: (url: string) => string}} Policy */
  const { trustedTypes } = /** @type {{trustedTypes?: {createPolicy: (name: string, rules: Policy) => Policy}}} */ (/** @type {unknown} */ (window));

  addEventListener("beforeinstallprompt", offer);
  addEventListener("load", async () => {
    const { page, person, inside } = document.body.dataset;
    const workers = navigator.serviceWorker;
    if (!workers || inside !== undefined || !(person || page === "in")) return;
    const script = new URL("worker/worker.js", here).href;
    const tell = async () => (await workers.ready).active?.postMessage({ person, language: document.documentElement.lang });
    try {
      await workers.register(trustedTypes?.createPolicy("worker", { createScriptURL: () => script }).createScriptURL("") ?? script, { scope: "/" });
      addEventListener("visibilitychange", () => document.hidden && tell());
      await tell();
      if (/** @type {{standalone?: boolean}} */ (navigator).standalone === false && person) offer(); // only phones of Apple say so
    } catch {
      // Storage is shut off: nothing is kept.
    }
  });
}

// Enter sends the prompt before bar.js is there, in place of a new line.
addEventListener("keydown", (event) => {
  const form = event.target instanceof HTMLTextAreaElement && event.target.id === "bar-prompt" ? event.target.form : null;
  if (!form || "ready" in form.dataset || event.key !== "Enter" || event.shiftKey || event.isComposing) return;
  event.preventDefault();
  form.requestSubmit();
});

// The modules send forms; one that is sent before they are there waits for them.
addEventListener("submit", (event) => {
  const form = /** @type {HTMLFormElement} */ (event.target);
  if ("started" in document.body.dataset || form.hasAttribute("method")) return;
  event.preventDefault();
  event.stopPropagation();
  addEventListener("started", () => {
    if (!form.isConnected) document.body.append(Object.assign(form, { hidden: true })); // a module has drawn over it
    form.requestSubmit();
  }, { once: true });
}, true);
