// The page's language, as <html lang> says: the texts of scripts in it, and the pages' own `html`, which translates
// what its templates say. English is the source and needs no file.
import { html as lit } from "../../vendor/lit-html/lit-html.js";

export const LANGUAGE = globalThis.document?.documentElement.lang || "en";
/** For dates and numbers. */
export const LOCALE = LANGUAGE === "en" ? "en-GB" : LANGUAGE;

/** @type {Record<string, string | string[]>} a text → its translation, or that of each plural form */
const TEXTS = LANGUAGE === "en" ? {} : await fetch(new URL(`../../languages/${LANGUAGE}.json`, import.meta.url)).then((found) => (found.ok ? found.json() : {}), () => ({}));
const RULES = new Intl.PluralRules(LANGUAGE);
const FORMS = ["zero", "one", "two", "few", "many", "other"].filter((form) => /** @type {string[]} */ (RULES.resolvedOptions().pluralCategories).includes(form));

/**
 * @param {string} message
 * @param {unknown[]} values
 */
const filled = (message, values) => message.replace(/\{(\d+)\}/g, (_, at) => String(values[at] ?? ""));

/**
 * A text in the page's language; "{0}", "{1}" … in it stand for `values`.
 * @param {string} message
 * @param {...unknown} values
 */
export function t(message, ...values) {
  const found = TEXTS[message] ?? message;
  return filled(typeof found === "string" ? found : message, values);
}

/**
 * The text for a number of something; "{0}" stands for the number.
 * @param {string} one
 * @param {string} other
 * @param {number} count
 */
export function tn(one, other, count) {
  const found = TEXTS[one];
  const message = Array.isArray(found) ? (found[FORMS.indexOf(RULES.select(count))] ?? found.at(-1) ?? other) : count === 1 ? one : other;
  return filled(message, [count.toLocaleString(LOCALE)]);
}

// Templates: each text between two tags, and each attribute that is read, is a text; "{0}" stands for its first value.

const VALUE = "\uE000";
const SHOWN = /((?:^|[\s"'])(?:title|placeholder|aria-label|alt|label)=")([^"]*)(?=")/g;
const EDGES = /^((?:\s|\uE000(?! ))*)(.*?)((?:\s|(?<! )\uE000)*)$/s;

/** @typedef {{strings: TemplateStringsArray, order: number[]}} Translated */
/** @type {WeakMap<TemplateStringsArray, Translated>} */
const known = new WeakMap();

/**
 * As lit-html's, in the page's language.
 * @param {TemplateStringsArray} strings
 * @param {...unknown} values
 */
export function html(strings, ...values) {
  if (LANGUAGE === "en") return lit(strings, ...values);
  const { strings: own, order } = known.get(strings) ?? remember(strings);
  return lit(own, ...order.map((at) => values[at]));
}

/** @param {TemplateStringsArray} strings */
function remember(strings) {
  const made = translated([...strings]);
  const own = /** @type {TemplateStringsArray} */ (/** @type {unknown} */ (Object.assign(made.strings, { raw: made.strings })));
  const found = { strings: own, order: made.order };
  known.set(strings, found);
  return found;
}

/**
 * The strings of a template in the page's language, and which value stands after each. Pure, but for the texts.
 * @param {string[]} strings
 * @param {(message: string) => string} [translate]
 */
export function translated(strings, translate = (message) => t(message, ...Array.from({ length: 10 }, (_, at) => `{${at}}`))) {
  const parts = strings.join(VALUE).split(/(<[^>]*>)/);
  let [page, count] = ["", 0];
  /** @type {number[]} */
  const order = [];
  const plain = (/** @type {string} */ text) => {
    for (const letter of text) if (letter === VALUE) order.push(count++);
    page += text;
  };
  const shown = (/** @type {string} */ text) => {
    const [, before = "", words = "", after = ""] = EDGES.exec(text) ?? [];
    if (!/[A-Za-z]{2}/.test(words)) return plain(text);
    plain(before);
    let at = 0;
    const message = words.replace(/\s+/g, " ").replaceAll(VALUE, () => `{${at++}}`);
    for (const part of translate(message).split(/(\{\d\})/)) {
      if (/^\{\d\}$/.test(part)) {
        order.push(count + Number(part[1]));
        page += VALUE;
      } else page += part;
    }
    count += at;
    plain(after);
  };
  for (const part of parts) {
    if (!part.startsWith("<")) shown(part);
    else {
      let begin = 0;
      for (const found of part.matchAll(SHOWN)) {
        const [whole, name = "", value = ""] = found;
        plain(part.slice(begin, found.index) + name);
        shown(value);
        begin = found.index + whole.length;
      }
      plain(part.slice(begin));
    }
  }
  return { strings: page.split(VALUE), order };
}
