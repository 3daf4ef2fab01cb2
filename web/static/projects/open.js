// Shows the page anew once a job that it waits for is over, unless somebody is about to send something.
import { readJob, untilAnswered } from "../js/core/api.js";
import { followNews } from "../js/core/jobs.js";
import { complain, toast } from "../js/core/text.js";

export function startOpen() {
  const open = [...document.querySelectorAll("[data-open]")].map((one) => /** @type {HTMLElement} */ (one).dataset.open ?? "");
  if (!open.length) return;
  const look = async () => {
    const jobs = await untilAnswered(() => Promise.all(open.map(readJob)));
    if (!jobs.some(({ over }) => over)) return;
    const busy = document.querySelector("[aria-busy=true], dialog[open], .sheet:popover-open");
    if (busy) toast("It is done.", { press: { label: "Show", work: () => location.reload() } });
    else location.reload();
  };
  const again = () => void look().catch(complain);
  followNews((news) => (!news.complete || news.changed.some((id) => open.includes(id))) && again());
  again();
}
