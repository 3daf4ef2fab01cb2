// The site's search shows sections that hold each typed word, or a longer one that begins with it. People also type small words, plurals
// and words of their own. So these are left out, cut or replaced; and where no section holds all words, those with all but one are shown,
// and so on. What is changed is the message to Zensical's worker: {type: 2, data: {input}}, input a text or a tree of operators.
(() => {
  const SMALL = new Set("a an the my your our i me we you it its this that these is are be was do does did can could should to of for from by with without on in at and or so how why what where which who when not no don't doesn't isn't can't won't some any all".split(" "));
  /** What people type, as these pages call it. @type {Record<string, string>} */
  const SAME = { image: "picture", img: "picture", photo: "picture", pic: "picture", movie: "video", clip: "video", gpu: "card", vram: "memory", update: "upgrade", login: "sign", nude: "nsfw", nudity: "nsfw", character: "person", print: "enlarge", erase: "delete", remove: "delete", detect: "find", error: "fail" };
  const MOST_WORDS = 6;
  const { postMessage } = Worker.prototype;
  /** @type {((items: object[]) => void)[]} what to do with the next answers: the worker gives them in order */
  const waiting = [];
  let latest = 0; // number of the newest search

  /** The words that count, without the end of a plural. @param {string} typed @returns {string[]} */
  function counted(typed) {
    const words = typed.toLowerCase().split(/[\s,.?!"]+/).filter(Boolean);
    const left = words.filter((word) => !SMALL.has(word));
    return [...new Set((left.length ? left : words).map((word) => word.replace(/(?<=ch|sh|x)es$|(?<=\w{3})(?<!s)s$/, "")))].slice(0, MOST_WORDS);
  }

  /** Every choice of so many words. @param {string[]} words @param {number} count @returns {string[][]} */
  function choices([first, ...others], count) {
    if (!count) return [[]];
    if (first === undefined) return [];
    return [...choices(others, count - 1).map((rest) => [first, ...rest]), ...choices(others, count)];
  }

  const operator = (/** @type {string} */ name, /** @type {object[]} */ operands) => ({ type: "operator", data: { operator: name, operands } });
  const value = (/** @type {string} */ word) => ({ type: "value", data: { field: "*", value: { type: "prefix", data: word } } });
  const either = (/** @type {string} */ word) => (SAME[word] ? operator("or", [value(word), value(SAME[word])]) : value(word));

  /** @this {Worker & {onanswer?: (event: MessageEvent) => void}} @param {any} message @param {...any} more */
  Worker.prototype.postMessage = function (message, ...more) {
    if (message?.type !== 2) return postMessage.call(this, message, ...more);
    if (!this.onanswer) this.addEventListener("message", (this.onanswer = ({ data }) => data.type === 3 && waiting.shift()?.(data.data.items)));
    const mine = ++latest;
    const words = typeof message.data.input === "string" ? counted(message.data.input) : [];
    if (!words.length) {
      waiting.push(() => {});
      return postMessage.call(this, message, ...more);
    }
    const search = (/** @type {number} */ count) => {
      waiting.push((items) => mine === latest && !items.length && count > 1 && search(count - 1));
      const input = operator("or", choices(words, count).map((chosen) => operator("and", chosen.map(either))));
      postMessage.call(this, { ...message, data: { ...message.data, input } });
    };
    search(words.length);
  };
})();
