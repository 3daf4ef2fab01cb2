// Light, dark, or as the system has it.
import { keep, kept } from "./kept.js";

export const THEMES = /** @type {const} */ (["system", "light", "dark"]);

/** @typedef {typeof THEMES[number]} Theme */

/** @returns {Theme} */
export const theme = () => THEMES.find((one) => one === kept("theme")) ?? "system";

/** @param {Theme} chosen */
export function setTheme(chosen) {
  keep("theme", chosen === "system" ? null : chosen);
  if (chosen === "system") delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = chosen;
}
