// Puts pictures into the trash and tells so, with a way back, on this page or on the one that comes next.
import { moveToTrash, pictureName, restorePictures } from "../core/api.js";
import { complain, counted, toast } from "../core/text.js";
import { noteAway } from "./note.js";

/** @import {Named} from "../core/api.js" */

/**
 * @param {Named[]} pictures
 * @param {{gone: () => void, back: () => void | Promise<void>}} page  what it does when they are gone, and when they are back
 */
export async function putAway(pictures, { gone, back }) {
  const names = pictures.map(pictureName);
  try {
    await moveToTrash(names);
  } catch (error) {
    return complain(error);
  }
  gone();
  tell(names, back);
}

/**
 * @param {string[]} names
 * @param {() => void | Promise<void>} back
 */
export function tell(names, back) {
  const undo = async () => {
    try {
      await restorePictures(names);
      await back();
    } catch (error) {
      complain(error);
    }
  };
  toast(`${counted(names.length, "picture")} moved to the trash`, { press: { label: "Undo", work: undo } });
}

/**
 * Put one picture away, and let the next page tell so.
 * @param {Named} picture
 * @param {() => void} leave
 */
export async function putAwayAndLeave(picture, leave) {
  try {
    await moveToTrash([pictureName(picture)]);
  } catch (error) {
    return complain(error);
  }
  noteAway(pictureName(picture));
  leave();
}
