// Prompts of earlier: ArrowUp in an empty field brings the last one back, again the one before. Pure.

export class History {
  /** @param {string[]} prompts  newest first */
  constructor(prompts) {
    this.prompts = [...new Set(prompts.filter(Boolean))];
    this.at = -1;
  }

  /** @param {string} prompt  that was just sent */
  add(prompt) {
    this.prompts = [prompt, ...this.prompts.filter((other) => other !== prompt)];
    this.at = -1;
  }

  /**
   * What the field shows after a key, or null when the key means nothing here: only an empty field, or one that
   * still shows an earlier prompt as it was, moves through them.
   * @param {string} text
   * @param {string} key
   */
  move(text, key) {
    if (text !== "" && text !== this.prompts[this.at]) this.at = -1;
    if (text !== "" && this.at < 0) return null;
    if (text === "") this.at = -1;
    const to = key === "ArrowUp" ? this.at + 1 : key === "ArrowDown" ? this.at - 1 : NaN;
    if (Number.isNaN(to) || to < -1 || to >= this.prompts.length || (to < 0 && this.at < 0)) return null;
    this.at = to;
    return this.prompts[to] ?? "";
  }
}
