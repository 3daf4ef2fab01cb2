// A person's tastes, and pairs of pictures to choose from: the page comes again when what it waits for is over.
import { followNews } from "./core/jobs.js";
import { askBefore, startPage } from "./core/page.js";
import { t } from "./core/text.js";

const CALM = 700; // ms without an end of a job, until the page comes again
const OVER = ["rendered", "failed", "cancelled"];

function start() {
  for (const form of /** @type {NodeListOf<HTMLFormElement>} */ (document.querySelectorAll("form[data-lora]"))) askBefore(form, t("Delete the LoRA of {0}?", form.dataset.lora ?? ""), t("What was trained is permanently deleted; your pictures and hearts are kept."), t("Delete the LoRA"));
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.repeat) return;
    const button = /** @type {HTMLButtonElement | null} */ (document.querySelector(`button[data-key="${CSS.escape(event.key)}"]`));
    if (button && !(event.target instanceof Element && event.target.closest("input, textarea, select, dialog"))) button.click();
  });
  if (!document.querySelector("[data-waits]")) return;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  let timer;
  followNews(({ jobs, changed, complete }) => {
    if (complete && !changed.length && !jobs.some(({ state }) => OVER.includes(state))) return;
    clearTimeout(timer);
    timer = setTimeout(() => location.reload(), CALM);
  });
}

startPage({ taste: start, blind: start });
