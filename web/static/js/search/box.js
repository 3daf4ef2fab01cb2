// The text of the search box: words, and filters as tokens among them. Pure.

/** What begins a value that has to be quoted. */
const SPACE = /\s/;

/**
 * The text with a filter set to a value, or without it when the value is empty.
 * @param {string} text
 * @param {string} name
 * @param {string} value
 */
export function withToken(text, name, value) {
  const old = new RegExp(`(^|\\s)${name}:(?:"[^"]*"|\\S+)`, "gi");
  const rest = text.replace(old, " ").replace(/\s+/g, " ").trim();
  const plain = value.replaceAll('"', "").trim();
  if (!plain) return rest;
  return `${rest} ${name}:${SPACE.test(plain) ? `"${plain}"` : plain}`.trim();
}
