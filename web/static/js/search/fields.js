// The fields beside the search box: what is chosen there is written into the box, where it can be read and changed.
import { upload } from "../core/api.js";
import { element } from "../core/page.js";
import { complain } from "../core/text.js";
import { withToken } from "./box.js";

/** Let the fields of the gallery write into its search box. What came with the address is moved there. Returns what is in it. */
export function joinFields() {
  const box = element("search-box", HTMLInputElement);
  const fields = element("more-filters", HTMLDetailsElement);
  const write = (/** @type {string} */ name, /** @type {string} */ value) => {
    box.value = withToken(box.value, name, value);
  };
  const tell = () => box.dispatchEvent(new Event("input", { bubbles: true }));
  fields.addEventListener("input", (event) => event.stopPropagation());
  fields.addEventListener("change", ({ target }) => {
    if (!(target instanceof HTMLInputElement)) return;
    if (target.type === "file") return void like(target, write).then(tell, complain);
    move(target, write);
    tell();
  });
  for (const field of fields.querySelectorAll("input")) if (field.type !== "file") move(field, write);
  element("like-picture", HTMLElement).hidden = false;
  return box.value;
}

/**
 * @param {HTMLInputElement} field
 * @param {(name: string, value: string) => void} write
 */
function move(field, write) {
  if (field.type === "checkbox" ? !field.checked : !field.value.trim()) return;
  write(field.name, field.value);
  if (field.type === "checkbox") field.checked = false;
  else field.value = "";
}

/**
 * @param {HTMLInputElement} field
 * @param {(name: string, value: string) => void} write
 */
async function like(field, write) {
  const [file] = field.files ?? [];
  if (!file) return;
  const { sha256 } = await upload(file, file.name);
  field.value = "";
  write("like", sha256);
}
