// What stands where there is nothing yet.
import { html, nothing } from "../../vendor/lit-html/lit-html.js";
import { icon } from "../core/page.js";

/** @import {TemplateResult} from "../../vendor/lit-html/lit-html.js" */

/**
 * @param {string} name  of the icon
 * @param {string} title
 * @param {string} text
 * @param {TemplateResult | typeof nothing} [more]
 */
export const emptyState = (name, title, text, more = nothing) =>
  html`<div class="empty"><span class="figure">${icon(name)}</span><h2>${title}</h2><p class="muted">${text}</p>${more}</div>`;
