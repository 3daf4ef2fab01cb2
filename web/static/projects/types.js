// What the server's JSON of projects holds, as types for the other modules.

/** @typedef {"add" | "label" | "train" | "use" | "export" | "manage"} Right */
/** @typedef {{id: string, name: string, task: "anomaly" | "classify" | "detect" | "style", href: string, labels: {name: string, meaning: string, count: number}[], total: number, states: Record<ItemState, number>, left: number, version: number | null, training: string | null, may: Right[]}} Project */
/** @typedef {"new" | "labelled" | "disputed" | "left_out"} ItemState */
/** @typedef {{id: string, label: string, state: ItemState, said: string, mine: boolean, small: string, whole: string, mark?: {label: string, boxes: Box[], mask: string | null, mine: boolean} | null, doubt?: {version: number, rather: string}}} Item  a picture of a project */
/** @typedef {[string, number, number, number, number]} Box  label, left, top, right, bottom in 0 to 1 of the sides */

export {};
