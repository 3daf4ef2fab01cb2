// Whether this browser is called when a job is over.
import { Problem, sendJson } from "./core/api.js";
import { t } from "./core/text.js";

export const canBeCalled = () => Boolean(globalThis.PushManager && globalThis.Notification) && !("inside" in document.body.dataset);

export async function isCalled() {
  const registration = await navigator.serviceWorker.getRegistration();
  return Notification.permission === "granted" && Boolean(await registration?.pushManager.getSubscription());
}

/** @param {boolean} on @param {string} key  of the studio */
export async function setCalled(on, key) {
  if (on && (await Notification.requestPermission()) !== "granted") throw new Problem(0, t("Allow notifications for this page in your browser’s settings first."));
  const { pushManager } = await navigator.serviceWorker.ready;
  await (await pushManager.getSubscription())?.unsubscribe(); // it may be for another key
  if (!on) return void (await sendJson("DELETE", "/api/push"));
  const { endpoint, keys } = (await pushManager.subscribe({ userVisibleOnly: true, applicationServerKey: key })).toJSON();
  await sendJson("PUT", "/api/push", { endpoint, ...keys });
}
