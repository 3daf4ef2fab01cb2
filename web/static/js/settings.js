// Settings are saved as they are changed; each says so, or what is wrong with it.
import { saveSettings } from "./core/api.js";
import { element, startPage } from "./core/page.js";
import { complain, toast } from "./core/text.js";
import { showHere } from "./parts/here.js";

/** @param {Event} event */
async function onChange({ target }) {
  if (!(target instanceof HTMLInputElement || target instanceof HTMLSelectElement) || !target.reportValidity()) return;
  try {
    await saveSettings({ [target.name]: valueOf(target) });
    toast("Saved");
  } catch (error) {
    complain(error);
  }
}

/** @param {HTMLInputElement | HTMLSelectElement} field */
function valueOf(field) {
  if (field.type === "checkbox") return /** @type {HTMLInputElement} */ (field).checked;
  if (field.type === "number") return field.value === "" ? null : Number(field.value);
  return field.value;
}

const form = element("settings", HTMLFormElement);
form.addEventListener("change", onChange);
form.addEventListener("submit", (event) => event.preventDefault());
element("save", HTMLElement).hidden = true;
showHere();
startPage();
