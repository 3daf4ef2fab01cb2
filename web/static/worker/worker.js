// The service worker: keeps what is shown without a network, for one person at a time, and takes pictures that a phone
// shares. It answers no other address: who may see a picture is for the studio to say.

const worker = /** @type {ServiceWorkerGlobalScope} */ (/** @type {unknown} */ (self));

/** @typedef {{thumb: string, alt: string, visibility: string, width: number, height: number}} Tile */

const SHELL = `shell ${location.pathname.split("/")[2]}`; // the version of the front end
const OF = "pictures "; // begins the names of what is kept of people; their ids follow
const SHARED = "shared";
const [MOST, MOST_SHARED] = [24, 10]; // pictures
const PATIENCE = 15_000; // ms for an answer
const EVERY = 60_000; // ms between two looks at what is still there, unless something was deleted

// The shell: the page for want of another, and its files

/** Fetch one thing at a time: a line that went silent holds one connection for a while, and pages have the others. @param {string} path @param {RequestInit} [options] */
const fetchSoon = (path, options) => fetch(path, { ...options, signal: AbortSignal.timeout(PATIENCE) });

/** @param {string} path @param {RequestInit} [options] */
async function fetchWell(path, options) {
  const found = await fetchSoon(path, options);
  if (!found.ok) throw new Error(`${path}: ${found.status}`);
  return found;
}

async function keepShell() {
  const page = await fetchWell("/offline", { cache: "no-store" });
  const text = await page.clone().text();
  const files = new Set([...text.matchAll(/(?:href|src)="(\/static\/[^"#]+)/g)].map(([, file = ""]) => file));
  const language = languageOf(text);
  const [icons = ""] = files;
  if (language !== "en") files.add(`${icons.split("/").slice(0, 3).join("/")}/languages/${language}.json`);
  const shell = await caches.open(SHELL);
  for (const file of files) if (!(await shell.match(file))) await shell.put(file, await fetchWell(file));
  await shell.put("/offline", page);
}

/** @param {string} page */
const languageOf = (page) => /<html lang="([\w-]+)"/.exec(page)?.[1] ?? "en";

async function dropOldShells() {
  for (const name of await caches.keys()) if (name.startsWith("shell ") && name !== SHELL) await caches.delete(name);
}

worker.addEventListener("install", (event) => event.waitUntil(keepShell().then(() => worker.skipWaiting())));
worker.addEventListener("activate", (event) => event.waitUntil(Promise.all([dropOldShells(), worker.clients.claim(), worker.registration.navigationPreload?.enable()])));

// The last pictures: what the studio lists now, and nothing that it lists no more

/** @type {Promise<unknown>} one after the other: who signs out while pictures come leaves none */
let before = Promise.resolve();
let looked = { person: "", at: 0 }; // whose were listed last, and when, in ms

/** @param {string} person  an id, "" = nobody is signed in */
async function forgetOthers(person) {
  for (const name of await caches.keys()) if ((name.startsWith(OF) && name !== OF + person) || (name === SHARED && !person)) await caches.delete(name);
}

/** @param {string} person */
async function keepPictures(person) {
  await forgetOthers(person);
  if (!person || (person === looked.person && Date.now() - looked.at < EVERY)) return;
  const asked = { headers: { "X-Person": person } }; // refused where somebody else is signed in by now
  const answer = await fetchSoon(`/api/pictures?limit=${MOST}`, asked);
  if (answer.status === 401) return forgetOthers("");
  if (!answer.ok) return;
  looked = { person, at: Date.now() };
  const { pictures } = /** @type {{pictures: Tile[]}} */ (await answer.json());
  const shown = pictures.filter(({ visibility }) => visibility === "show").map(({ thumb, alt, width, height }) => ({ thumb, alt, width, height }));
  const kept = await caches.open(OF + person);
  const wanted = new Set(["/offline", ...shown.map(({ thumb }) => thumb)]);
  for (const request of await kept.keys()) if (!wanted.has(new URL(request.url).pathname)) await kept.delete(request);
  await kept.put("/offline", Response.json(shown));
  for (const { thumb } of shown) {
    if (await kept.match(thumb)) continue;
    const picture = await fetchSoon(thumb, asked);
    if (picture.ok) await kept.put(thumb, picture);
  }
}

/** @param {string} language */
async function keepLanguage(language) {
  const page = await caches.match("/offline", { cacheName: SHELL });
  if (!page || languageOf(await page.text()) !== language) await keepShell();
}

worker.addEventListener("message", (event) => {
  const { person = "", language } = /** @type {{person?: string, language: string}} */ (event.data);
  before = before.then(() => keepPictures(person)).then(() => keepLanguage(language)).catch(() => {}); // without a network, all stays
  event.waitUntil(before);
});

// A job is over, or a camera sees a defect, says a message that only this browser can read

worker.addEventListener("push", (event) => {
  const { title, href, ...more } = /** @type {{title: string, body: string, tag: string, href: string, actions?: unknown[]}} */ (event.data?.json());
  const icon = location.pathname.replace("worker/worker.js", "icons/192.png");
  event.waitUntil(worker.registration.showNotification(title, { ...more, icon, data: href })); // the same tag twice is shown once
});

worker.addEventListener("notificationclick", (event) => {
  event.notification.close();
  const href = String(event.notification.data);
  event.waitUntil(event.action ? press(event.action).catch(() => openPage(href)) : openPage(href));
});

/** Do what a button of an alarm says. @param {string} action  such as POST /api/verdicts/… {"right": true} */
async function press(action) {
  const [method = "", path = ""] = action.split(" ", 2);
  const body = action.slice(method.length + path.length + 2);
  await fetchWell(path, { method, body, headers: { "Content-Type": "application/json" } });
}

/** @param {string} href */
async function openPage(href) {
  const open = (await worker.clients.matchAll({ type: "window" })).find(({ url }) => new URL(url).pathname === "/"); // others may hold work
  if (open) return (await open.focus()).navigate(href);
  return worker.clients.openWindow(href);
}

// Calls

/** Keep shared pictures for the page that asks what to do with them. @param {Request} request */
async function takeShared(request) {
  const files = (await request.formData()).getAll("pictures").filter((one) => one instanceof File);
  await caches.delete(SHARED);
  const shared = await caches.open(SHARED);
  for (const [n, file] of files.slice(0, MOST_SHARED).entries()) {
    await shared.put(`/share/${n}`, new Response(file, { headers: { "Content-Type": file.type, "X-Name": encodeURIComponent(file.name) } }));
  }
  return Response.redirect("/share", 303);
}

/** @param {FetchEvent} event */
async function pageOf(event) {
  try {
    return /** @type {Response | undefined} */ (await event.preloadResponse) ?? (await fetch(event.request));
  } catch {
    return (await caches.match("/offline", { cacheName: SHELL })) ?? Response.error();
  }
}

/** @param {Request} request */
const fileOf = async (request) => (await caches.match(request, { cacheName: SHELL })) ?? fetch(request);

worker.addEventListener("fetch", (event) => {
  const { method, mode, url } = event.request;
  const { pathname } = new URL(url);
  if (method === "DELETE" || pathname.startsWith("/api/trash")) looked.at = 0;
  if (method === "POST" && pathname === "/share") event.respondWith(takeShared(event.request));
  else if (method !== "GET") return;
  else if (pathname.startsWith("/static/")) event.respondWith(fileOf(event.request));
  else if (mode === "navigate" && !/^\/(api|files|previews)\//.test(pathname)) event.respondWith(pageOf(event));
});
