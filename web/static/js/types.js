// What the server's JSON holds, as types for the other modules.

/** @typedef {{action: string, label: string, group: string, words: boolean, form: "" | "blend" | "cut", first: string}} Action  form: what else it asks for; first: its word in the first row */
/** @typedef {{src: string, gif: string, seconds: number, fps: number, sound: boolean}} Video  its address, that of a GIF of it, its length */
/** @typedef {"show" | "spoiler" | "block"} Visibility */

/**
 * @typedef {object} Picture
 * @property {number} n  from 1
 * @property {number} width  px
 * @property {number} height  px
 * @property {number | null} seed
 * @property {boolean} favourite
 * @property {Visibility} visibility
 * @property {string} href
 * @property {string} original
 * @property {string} thumb  512 px
 * @property {string} small  256 px
 * @property {string} alt
 * @property {string} prompt  that it alone was drawn from, as typed
 * @property {Video | null} video  whose first frame it is
 */

/** @typedef {"queued" | "running" | "rendered" | "delivered" | "failed" | "cancelled"} Status */

/**
 * @typedef {object} Job
 * @property {string} id
 * @property {string} kind
 * @property {string} name  what people call it
 * @property {string} prompt  as typed, with flags
 * @property {string[]} [struck]  those of its flags that have no effect here
 * @property {string} [group]  what Create can be narrowed to, such as "pictures" or "videos"
 * @property {string} [about]  what it is about, where it has no words
 * @property {string | null} [set]  the same for all jobs of one prompt
 * @property {string | null} [follows]  the question that it follows on from
 * @property {{key: string, picture: {job: string, n: number} | null} | null} [topic]  the picture that a conversation is about; key: the same for all questions about it
 * @property {string | null} [finished]  ISO 8601
 * @property {Status} status
 * @property {boolean} over
 * @property {string} created  ISO 8601
 * @property {boolean} private
 * @property {boolean} mine
 * @property {"discord" | "web"} surface
 * @property {{job: string, n: number} | null} parent
 * @property {string | null} error
 * @property {number | null} position
 * @property {number | null} eta  seconds
 * @property {boolean} held
 * @property {boolean} [starting]  no worker is ready yet
 * @property {number | null} step
 * @property {number | null} total
 * @property {string} doing  what was done last, of a training
 * @property {string | null} preview  address of a sheet of all pictures
 * @property {[number, number, number, number] | null} [box]  px of an editor's canvas where previews belong
 * @property {string | null} loading  name of the model
 * @property {Picture[]} pictures
 * @property {Picture | null} grid  chart of /classify, picture with boxes of /read
 * @property {string | null} question  of /ask
 * @property {string | null} answer  as far as it is there
 * @property {string | null} talk  address of the conversation
 * @property {string | null} [project]  address of the project of custom models that it is about
 * @property {string[]} captions
 * @property {[string, number][]} scores
 * @property {string} text  that was read in a picture
 * @property {string[]} notes
 * @property {Action[]} actions  of the job as a whole
 * @property {Action[]} picture_actions  of each of its pictures
 * @property {boolean} sheet  its pictures are drafts, of which some may be drawn in full
 * @property {number} count  pictures that it makes, 0 when it is answered in words
 * @property {number | null} width  px of each, where the request names them
 * @property {number | null} height
 * @property {number} [at]  point of the news that it is as new as
 */

/**
 * @typedef {object} Tile
 * @property {string} job
 * @property {number} n
 * @property {number} seq
 * @property {string} kind
 * @property {string} prompt
 * @property {string} created
 * @property {number} width
 * @property {number} height
 * @property {boolean} favourite
 * @property {Visibility} visibility
 * @property {string} href
 * @property {string} small
 * @property {string} thumb
 * @property {string} alt
 * @property {boolean} mine
 * @property {number | null} seconds  of the video whose first frame it is
 * @property {string | null} ends  ISO 8601: when it is deleted for good, if it is in the trash
 */

/**
 * @typedef {object} QueuedJob  of a queue that the reader manages
 * @property {string} id
 * @property {string} kind
 * @property {string} name  what people call it
 * @property {string} prompt  empty when it is private
 * @property {boolean} private
 * @property {string} who
 * @property {string} since  ISO 8601
 * @property {number} position  0 = it runs
 * @property {number | null} eta  seconds
 * @property {number | null} percent
 * @property {string | null} device
 */

/** @typedef {{name: string, paused: boolean, draining: boolean, running: number, waiting: number, more: number, jobs: QueuedJob[], devices: {name: string, state: string, problem: string | null}[]}} Queue */
/** @typedef {{day: string, shapes: number[]}} Day  shapes: width / height in per cent and how many pictures after one another have it, in turn */
/** @typedef {{text: string, label: string}} Suggestion */
/** @typedef {{name: string, usual: boolean, about: string, seconds: number | null}} ImageModel  to choose; seconds: of four pictures */
/** @typedef {{begin: number, end: number, kind: "word" | "flag" | "fault", text: string, why: string, instead: string[], grows: boolean}} Mark  of a prompt */

/**
 * @typedef {object} State  the newest state of a live job
 * @property {string} id
 * @property {"queued" | "started" | "loading" | "progress" | "rendered" | "failed" | "cancelled" | "paused"} state
 * @property {number | null} [position]
 * @property {number | null} [eta]
 * @property {boolean} [held]
 * @property {string} [why]  what it waits for besides its turn
 * @property {boolean} [starting]  no worker is ready yet
 * @property {number | null} [step]
 * @property {number | null} [total]
 * @property {string | null} [preview]
 * @property {[number, number, number, number] | null} [box]
 * @property {string} [doing]
 * @property {string} [text]  all of an answer so far
 * @property {string | null} [model]
 * @property {number | null} [fraction]
 * @property {boolean} [fetching]  the model's files are on their way
 * @property {number | null} [left]  seconds until they are here
 * @property {string | null} [error]
 */

/**
 * @typedef {object} Turn  a question of a conversation with its answer
 * @property {string} id
 * @property {string} question
 * @property {(string | null)[]} pictures  addresses, null where there is none to show
 * @property {boolean} [draws]  the answer says what a picture may show
 * @property {{src: string, label: string, named: boolean}[]} frames  of its video, and whether its answer names them
 * @property {{text: string, href: string | null}[]} said  its answer in pieces, where that is about a video
 * @property {"free" | "short" | "table" | "boxes" | "text"} form
 * @property {{title: string, columns: string[], rows: string[][], numbers: boolean[]} | null} table
 * @property {string[]} boxes  what each shows
 * @property {Picture | null} drawing  of a table's numbers, or boxes on the picture
 * @property {string} answer
 * @property {"end" | "length" | "stopped" | null} ended
 * @property {boolean} over
 * @property {boolean} cancelled
 * @property {string | null} error
 * @property {number | null} position
 * @property {boolean} mine
 * @property {boolean} private
 * @property {string[]} notes
 * @property {string[]} seen  sides of the pictures that the model saw
 * @property {number[]} tokens  in, cached, out
 * @property {{href: string, question: string}[]} branches  questions that follow on from it, but for the next of these turns
 */

/**
 * @typedef {object} Said  a sentence to the studio, with what was understood and what came of it
 * @property {string} id
 * @property {string | null} before  the turn that it follows
 * @property {string} said
 * @property {string} kind
 * @property {boolean} mine
 * @property {string} understood
 * @property {string} reply  where there is no job
 * @property {{number: number, thumbs: string[]}[]} sent  pictures that came with it
 * @property {string} find  what a search looks for
 * @property {string | null} waits  the turn whose picture it waits for
 * @property {string[]} offers
 * @property {Job | null} job
 * @property {Shown | null} shows  the picture that "it" means from here on
 * @property {number | null} number  of its picture in the conversation
 * @property {boolean} gone  its pictures were deleted
 */

/** @typedef {{job: string | null, n: number, number: number | null, picture: Picture | null, comes: boolean}} Shown  job: null of what somebody has sent, and before there is one; comes: it is being made */
/** @typedef {{id: string, before: string | null, said: string, level: number, number: number | null}} Branch  a turn of the tree */
/** @typedef {{number: number, words: string, again: string}} Change  a line of the list behind a picture, from 1; again: what taking it out takes, "" = it can't be */
/** @typedef {{turn: string, title: string, href: string, tree: Branch[], path: Said[], cut: boolean, shown: Shown | null, changes: Change[], undo: boolean, redo: boolean}} Dialogue  path: from its beginning to the turn */
/** @typedef {{understood: string, kind: string, about: number[], reply: string, offers: string[]}} Heard  what a sentence would be understood as, or what would be asked back */

/** @typedef {{jobs: State[], changed: string[], complete: boolean, at: number}} News  at: the point that they end at */

// Of projects

/** @typedef {"add" | "label" | "train" | "use" | "export" | "manage"} Right */
/** @typedef {{id: string, name: string, task: "anomaly" | "classify" | "detect" | "style", href: string, labels: {name: string, meaning: string, count: number}[], total: number, states: Record<ItemState, number>, left: number, version: number | null, training: string | null, may: Right[]}} Project */
/** @typedef {"new" | "labelled" | "disputed" | "left_out"} ItemState */
/** @typedef {{id: string, label: string, state: ItemState, said: string, mine: boolean, small: string, whole: string, mark?: {label: string, boxes: Box[], mask: string | null, mine: boolean} | null, doubt?: {version: number, rather: string}}} Item  a picture of a project */
/** @typedef {[string, number, number, number, number]} Box  label, left, top, right, bottom in 0 to 1 of the sides */

export {};
