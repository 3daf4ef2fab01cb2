// Offers, once in each browser, to put the studio beside the other apps.
import { keepForGood, keptForGood } from "./core/api.js";
import { showToast, t } from "./core/text.js";

/** @param {{prompt: () => unknown} | null} asked  how this browser installs; null = its person does it by hand */
export function offerInstall(asked) {
  if (keptForGood("install")) return;
  keepForGood("install", "offered");
  if (asked) showToast(t("Atelier works as an app here."), { press: { label: t("Install"), work: () => asked.prompt() } });
  else showToast(t("To use Atelier as an app, press Share, then Add to Home Screen."));
}
