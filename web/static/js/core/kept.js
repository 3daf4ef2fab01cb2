// What this browser keeps: the theme and shortcuts for good; what is typed or on its way for this tab and its person;
// copies of documents that the server hasn't got yet, each for its person. Storage may be shut off; then nothing is kept.

/**
 * @param {() => Storage} storage
 * @param {string} name
 * @returns {string | null}
 */
function got(storage, name) {
  try {
    return storage().getItem(`atelier.${name}`);
  } catch {
    return null;
  }
}

/**
 * @param {() => Storage} storage
 * @param {string} name
 * @param {string | null} value  null = forget
 */
function put(storage, name, value) {
  try {
    if (value === null) storage().removeItem(`atelier.${name}`);
    else storage().setItem(`atelier.${name}`, value);
  } catch {
    // Shut off, or full: it holds until the page is left.
  }
}

/** @param {string} name */
export const kept = (name) => got(() => localStorage, name);

/**
 * @param {string} name
 * @param {string | null} value  null = forget
 */
export const keep = (name, value) => put(() => localStorage, name, value);

/** Who is signed in on this page: what is kept for one isn't shown to the next. */
export const person = () => document.body.dataset.person ?? "";

/**
 * What this tab keeps for its person.
 * @param {string} name
 * @returns {unknown}  null = nothing
 */
export const keptHere = (name) => JSON.parse(got(() => sessionStorage, `${person()}.${name}`) ?? "null");

/**
 * @param {string} name
 * @param {unknown} value  null = forget
 */
export const keepHere = (name, value) => put(() => sessionStorage, `${person()}.${name}`, value === null ? null : JSON.stringify(value));

/**
 * Let a field show again what was typed into it until that is sent, also after the page was left.
 * @param {HTMLTextAreaElement} field
 * @param {string} name
 */
export function keepField(field, name) {
  if (!field.value) field.value = String(keptHere(name) ?? "");
  field.addEventListener("input", () => keepHere(name, field.value || null));
}

/** @type {Promise<IDBDatabase> | undefined} stays open: a page that is left has no time to open it */
let opened;

/** @returns {Promise<IDBDatabase>} */
const open = () => new Promise((done, failed) => {
  const opening = indexedDB.open("atelier", 1);
  opening.onupgradeneeded = () => opening.result.createObjectStore("documents");
  opening.onerror = () => failed(opening.error);
  opening.onsuccess = () => {
    opening.result.onclose = () => (opened = undefined);
    done(opening.result);
  };
});

/**
 * Do something with the copies of documents.
 * @template T
 * @param {IDBTransactionMode} mode
 * @param {(all: IDBObjectStore) => IDBRequest<T>} work
 * @returns {Promise<T>}
 */
export async function copies(mode, work) {
  const database = await (opened ??= open().catch((error) => {
    opened = undefined;
    throw error;
  }));
  return new Promise((done, failed) => {
    const asked = work(database.transaction("documents", mode).objectStore("documents"));
    asked.transaction?.commit(); // at once: the page may be gone before it would by itself
    asked.onsuccess = () => done(asked.result);
    asked.onerror = () => failed(asked.error);
  });
}

/** The key of a copy. @param {string} document  its id, or where it began */
export const copyOf = (document) => `${person()} ${document}`;

/** What is done before somebody signs out. @type {(() => unknown)[]} */
export const lastly = [];

/** Forget everything but the theme and shortcuts: who comes next shall find nothing. */
export async function forgetAll() {
  try {
    for (const name of Object.keys(sessionStorage)) if (name.startsWith("atelier.")) sessionStorage.removeItem(name);
    await copies("readwrite", (all) => all.clear());
  } catch {
    // Shut off: nothing was kept.
  }
}
