// What this browser keeps: the theme and shortcuts for good; for this tab and its person, what is typed or on its way.
// Storage may be shut off; then nothing is kept.

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
