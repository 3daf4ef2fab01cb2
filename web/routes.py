"""The table of all routes. What isn't here isn't served."""

from collections.abc import Collection

from core.settings import Settings
from studio.media.masks import MAX_BYTES
from studio.programs import Scope
from studio.projects.projects import MAX_ZIP
from web import schemas
from web.call import MCP, Body, Bucket, Route
from web.handlers import (
    account,
    chat,
    collections,
    editor,
    gallery,
    jobs,
    pages,
    projects,
    shares,
    talk,
    taste_loras,
)
from web.handlers import openai_chat as answered
from web.handlers import openai_images as drawn
from web.handlers import openai_videos as filmed
from web.handlers.account import Account, SettingsForm
from web.handlers.activity import Activity
from web.handlers.mcp import Mcp
from web.schemas import MOST_CHOSEN

LIVE = "/api/live"  # the one route that isn't a question and an answer
JOB, NUMBER = "{job:[a-z2-9]{12}}", "{n:[0-9]{1,2}}"
NAME = 24  # bytes of a picture's name in a body, at most
SIDE, ACTION = "{side:256|512}", "{action:[a-z0-9]+}"
EXAMPLE, CHART = "{example:[0-9]{1,18}}", "{chart:[a-z0-9-]{1,40}}"
SHA256, DOCUMENT = "{sha256:[0-9a-f]{64}}", "{document:[a-z2-9]{12}}"
FOLDER = "{folder:[a-z2-9]{12}}"
SET = "{set:[a-z2-9]{12}}"
PROJECT = "{project:[a-z2-9]{12}}"
TURN = "{turn:[a-z2-9]{12}}"
SAID = f"/api/talk/{TURN}"
STRUCK = "/api/taste/struck/{word:[^/]{1,60}}"
TASTE_LORA = f"/api/taste/loras/{PROJECT}"
SERVER_TASTE = "/api/taste/servers/{server:[0-9]{1,18}}"
VERSION = "{version:[0-9]{1,6}}"
STYLE = "{style:[0-9]{1,10}}"
FILM = f"/v1/videos/{filmed.VIDEO}"
TOKEN, SHARE = "{token:[A-Za-z0-9_-]{43}}", "{share:[a-z2-9]{12}}"
ID = "{session:[a-z2-9]{12}}"
PACKED = MAX_ZIP + 64 * 1024  # bytes of a form with files: a zip file, and what stands around it
LARGEST = 384 * 1024  # bytes of a body with a document, which is smaller: its text may be escaped
PICTURE, SHARED = f"/files/{JOB}/{NUMBER}", f"/files/s/{TOKEN}/{JOB}/{NUMBER}"
SENT = f"/api/uploads/{SHA256}/{{asked:describe|classify|read|cutout}}"
STORED, ITEMS = f"/api/documents/{DOCUMENT}", f"/api/folders/{FOLDER}/items"
API, FILES = f"/api/projects/{PROJECT}", f"/files/projects/{PROJECT}"
WATCH = f"{API}/watches/{{watch:[a-z2-9]{{12}}}}"
LABELS = f"{FILES}/labels-{{form:csv|coco|yolo}}.zip"
FILTERS = gallery.FIELDS
DISCORD, PARTS = ("code", "state", "iss", "error"), ("example", "label")
REPORT, CHOSEN = ("version", "move", "with", "bundle"), ("label", "state", "after")
# what a token must open for a program to come in by a route; without any, only people do
LOOK, DRAW, ASK, INSPECT, MANAGE = ((scope,) for scope in Scope)
TALK = (*ASK, *DRAW)  # what is said may ask, or change a picture
ANY = (*FILTERS, "trash", "folder", "before", "limit", "skip")


def route_table(settings: Settings, own: Account) -> tuple[Route, ...]:
    """Return every route."""
    read, ask, change, upload = Bucket.BYTES, Bucket.ASK, Bucket.CHANGE, Bucket.UPLOAD
    picture, clip = settings.max_upload_mb * 2**20, settings.clip_max_mb * 2**20
    video = settings.max_video_mb * 2**20
    data = picture * 4 // 3 + 64 * 1024  # in base64
    sign_in, form, most = Bucket.SIGN_IN, SettingsForm(tuple(settings.image_models)), MOST_CHOSEN * NAME
    return (
        # pages
        Route("GET", "/", pages.create_page, everybody=True, query=("prompt", "from", "n", "talk")),
        Route("GET", "/pictures", pages.pictures_page, query=(*FILTERS, "before")),
        Route("GET", f"/pictures/{JOB}/{NUMBER}", pages.picture_page),
        Route("GET", "/wall", gallery.wall_page, query=gallery.WALL),
        Route("GET", "/explore", pages.explore_page, query=(*gallery.FILTERS, "before")),
        Route("GET", "/queue", pages.queue_page),
        Route("GET", "/settings", form.page),
        Route("GET", "/sessions", own.sessions_page),
        Route("GET", "/programs", account.programs_page),
        Route("GET", "/keys", pages.keys_page),
        Route("GET", "/share", pages.share_page),
        Route("GET", "/offline", pages.offline_page, everybody=True),
        *(() if settings.discord_token else (Route("GET", "/_components", pages.components_page),)),
        Route("GET", f"/edit/{JOB}/{NUMBER}", editor.edit_picture_page),
        Route("GET", f"/edit/d/{DOCUMENT}", editor.edit_document_page),
        Route("GET", "/documents", editor.documents_page),
        # signing in
        Route("GET", "/in", own.sign_in_page, everybody=True, query=("next",)),
        Route("GET", "/in/discord", own.to_discord, bucket=sign_in, everybody=True, query=("next",)),
        Route("GET", "/in/discord/back", own.from_discord, bucket=sign_in, everybody=True, query=DISCORD),
        Route("POST", "/api/sign-in/look", own.look, schemas.Link, sign_in, everybody=True),
        Route("POST", "/api/session", own.begin, schemas.SignIn, sign_in, everybody=True),
        Route("DELETE", "/api/session", own.end, bucket=change),
        Route("DELETE", f"/api/sessions/{ID}", own.end_other, bucket=change),
        Route("PUT", "/api/push", account.call_browser, schemas.Browser, change),
        Route("DELETE", "/api/push", account.leave_browser, bucket=change),
        # tokens of programs and webhooks, which no program can make
        Route("GET", "/api/tokens", account.list_tokens),
        Route("POST", "/api/tokens", account.create_token, schemas.NewToken, change),
        Route("DELETE", f"/api/tokens/{ID}", account.end_token, bucket=change),
        Route("GET", "/api/webhooks", account.list_webhooks),
        Route("POST", "/api/webhooks", account.create_webhook, schemas.NewWebhook, change),
        Route("DELETE", f"/api/webhooks/{ID}", account.end_webhook, bucket=change),
        Route("POST", f"/api/webhooks/{ID}/resume", account.resume_webhook, schemas.Nothing, change),
        Route("POST", f"/api/webhooks/{ID}/test", account.send_test, schemas.Nothing, change),
        # jobs and pictures
        Route("GET", "/api/jobs", jobs.show_stream, query=("show", "before"), scopes=LOOK),
        Route("POST", "/api/jobs", jobs.ask_jobs, schemas.NewJobs, ask, scopes=DRAW),
        Route("POST", "/api/drafts/{draft:[a-z2-9]{12}}", jobs.confirm, schemas.Nothing, ask, scopes=DRAW),
        Route("GET", f"/api/jobs/{JOB}", jobs.show_job, scopes=LOOK),
        Route("GET", f"/api/jobs/{JOB}/events", jobs.send_events, scopes=LOOK),
        Route("DELETE", f"/api/jobs/{JOB}", jobs.delete_job, bucket=change, scopes=MANAGE),
        Route("POST", f"/api/jobs/{JOB}/cancel", jobs.cancel_job, schemas.Nothing, change, scopes=DRAW),
        Route(
            "POST", f"/api/jobs/{JOB}/{NUMBER}/{ACTION}", jobs.press_button, schemas.Press, ask, scopes=DRAW
        ),
        Route("GET", "/api/complete", jobs.complete, query=("text",), scopes=LOOK),
        Route("POST", "/api/uploads", jobs.upload, Body.PICTURE, upload, limit=picture, scopes=DRAW),
        Route("POST", SENT, jobs.press_upload, schemas.Once, ask, scopes=DRAW),
        Route("POST", "/api/clips", jobs.keep_clip, Body.PICTURE, upload, limit=clip, scopes=DRAW),
        Route("GET", "/api/pictures", gallery.list_pictures, query=ANY, scopes=LOOK),
        Route("GET", "/api/months", gallery.list_months, scopes=LOOK),
        Route("GET", "/api/days", gallery.list_days, query=(*FILTERS, "trash", "folder"), scopes=LOOK),
        Route(
            "GET",
            "/api/explore",
            gallery.list_explored,
            query=(*gallery.FILTERS, "before", "limit"),
            scopes=LOOK,
        ),
        Route("GET", "/api/queues", jobs.list_queues, scopes=MANAGE),
        Route("PUT", f"/api/favourites/{JOB}/{NUMBER}", gallery.keep_favourite, bucket=change, scopes=MANAGE),
        Route(
            "DELETE", f"/api/favourites/{JOB}/{NUMBER}", gallery.drop_favourite, bucket=change, scopes=MANAGE
        ),
        Route("GET", "/api/settings", form.show, scopes=LOOK),
        Route("PATCH", "/api/settings", form.change, schemas.Changes, change, scopes=MANAGE),
        # a person's data
        Route("GET", "/privacy", account.privacy_page),
        Route("GET", "/api/privacy", account.show_privacy, scopes=MANAGE),
        Route("DELETE", "/api/privacy", own.delete_person, bucket=change),
        Route(
            "GET",
            "/api/privacy/export",
            account.export_person,
            bucket=ask,
            query=("pictures",),
            scopes=MANAGE,
        ),
        # bytes
        Route("GET", PICTURE, gallery.send_original, bucket=read, query=("download",), scopes=LOOK),
        Route(
            "GET", f"{PICTURE}/{SIDE}.webp", gallery.send_small, bucket=read, query=("plain",), scopes=LOOK
        ),
        Route("GET", f"{PICTURE}.mp4", gallery.send_video, bucket=read, query=("download",), scopes=LOOK),
        Route("GET", f"{PICTURE}.gif", gallery.send_gif, bucket=ask, scopes=LOOK),
        Route("GET", f"/files/uploads/{SHA256}", gallery.send_upload, bucket=read, scopes=LOOK),
        Route("GET", f"/files/uploads/{SHA256}.webp", gallery.send_upload_small, bucket=read, scopes=LOOK),
        Route(
            "GET", f"/previews/{JOB}/{{step:[0-9]{{1,4}}}}", gallery.send_preview, bucket=read, scopes=LOOK
        ),
        # the trash
        Route("GET", "/trash", collections.trash_page, query=("before",)),
        Route(
            "POST", "/api/trash", collections.put_in_trash, schemas.Named, change, limit=most, scopes=MANAGE
        ),
        Route(
            "POST",
            "/api/trash/restore",
            collections.take_from_trash,
            schemas.Named,
            change,
            limit=most,
            scopes=MANAGE,
        ),
        Route(
            "POST",
            "/api/trash/delete",
            collections.delete_trashed,
            schemas.Named,
            change,
            limit=most,
            scopes=MANAGE,
        ),
        Route("DELETE", "/api/trash", collections.empty_trash, bucket=change, scopes=MANAGE),
        # OpenAI's form
        Route("GET", "/v1/models", drawn.list_models, scopes=LOOK),
        Route("GET", "/v1/models/{model:.{1,80}}", drawn.show_model, scopes=LOOK),
        Route(
            "POST",
            "/v1/images/generations",
            drawn.generate_images,
            schemas.ImageWish,
            ask,
            scopes=DRAW,
        ),
        Route(
            "POST",
            "/v1/images/edits",
            drawn.edit_images,
            Body.FILES,
            ask,
            limit=5 * picture + 64 * 1024,
            scopes=DRAW,
        ),
        Route(
            "POST",
            "/v1/chat/completions",
            answered.complete_chat,
            schemas.ChatWish,
            ask,
            limit=data,
            scopes=ASK,
        ),
        Route("POST", "/v1/moderations", answered.moderate, schemas.Judged, change, scopes=LOOK),
        Route(
            "POST",
            "/v1/responses",
            answered.create_response,
            schemas.ResponseWish,
            ask,
            limit=data,
            scopes=ASK,
        ),
        Route(
            "POST", "/v1/videos", filmed.create_video, Body.FILES, ask, limit=picture + 64 * 1024, scopes=DRAW
        ),
        Route("GET", "/v1/videos", filmed.list_videos, query=("after", "limit", "order"), scopes=LOOK),
        Route("GET", FILM, filmed.show_video, scopes=LOOK),
        Route("DELETE", FILM, filmed.delete_video, bucket=change, scopes=MANAGE),
        Route("GET", f"{FILM}/content", filmed.send_content, bucket=read, query=("variant",), scopes=LOOK),
        Route("POST", f"{FILM}/remix", filmed.remix_video, schemas.VideoRemix, ask, scopes=DRAW),
        # agents: each tool has a scope of its own besides
        Route("POST", MCP, Mcp().answer, schemas.Message, change, limit=data, scopes=LOOK),
        # folders
        Route("GET", "/folders", collections.folders_page),
        Route("GET", f"/folders/{FOLDER}", collections.folder_page, query=(*FILTERS, "before")),
        Route("GET", "/api/folders", collections.list_folders, scopes=LOOK),
        Route("POST", "/api/folders", collections.create_folder, schemas.NewFolder, change, scopes=MANAGE),
        Route(
            "PATCH",
            f"/api/folders/{FOLDER}",
            collections.rename_folder,
            schemas.Rename,
            change,
            scopes=MANAGE,
        ),
        Route("DELETE", f"/api/folders/{FOLDER}", collections.delete_folder, bucket=change, scopes=MANAGE),
        Route("POST", ITEMS, collections.put_in_folder, schemas.Named, change, limit=most, scopes=MANAGE),
        Route(
            "POST",
            f"{ITEMS}/remove",
            collections.take_out_of_folder,
            schemas.Named,
            change,
            limit=most,
            scopes=MANAGE,
        ),
        Route("GET", "/api/zip", collections.zip_found, bucket=ask, query=("job", "folder"), scopes=LOOK),
        Route("POST", "/api/zip", collections.zip_chosen, Body.FORM, ask, limit=most, scopes=LOOK),
        # shares
        Route("GET", "/shares", shares.shares_page),
        Route("GET", "/api/shares", shares.list_shares, scopes=MANAGE),
        Route("POST", "/api/shares", shares.create_share, schemas.NewShare, change, scopes=MANAGE),
        Route("DELETE", f"/api/shares/{SHARE}", shares.revoke_share, bucket=change, scopes=MANAGE),
        Route("GET", f"/s/{TOKEN}", shares.shared_page, everybody=True, query=("before",)),
        Route("GET", f"/s/{TOKEN}/embed.json", shares.shared_embed, bucket=read, everybody=True),
        Route("GET", SHARED, shares.send_shared, bucket=read, everybody=True),
        Route("GET", f"{SHARED}/{SIDE}.webp", shares.send_shared, bucket=read, everybody=True),
        Route("GET", f"{SHARED}.mp4", shares.send_shared_video, bucket=read, everybody=True),
        Route("GET", "/api/channels", shares.list_channels, scopes=MANAGE),
        Route("POST", "/api/posts", shares.post_picture, schemas.Post, ask, scopes=MANAGE),
        # the editor
        Route("POST", "/api/edits", editor.ask_edit, schemas.Edit, ask, limit=LARGEST, scopes=DRAW),
        Route("POST", "/api/edits/look", editor.preview_edit, schemas.Look, limit=LARGEST, scopes=DRAW),
        Route("POST", "/api/selects", editor.select_pixels, schemas.Select, Bucket.SELECT, scopes=DRAW),
        Route("POST", "/api/masks", editor.keep_mask, Body.PICTURE, change, limit=MAX_BYTES, scopes=DRAW),
        Route("GET", f"/files/masks/{SHA256}.png", editor.send_mask, bucket=read, scopes=LOOK),
        Route("GET", "/api/documents", editor.list_documents, scopes=LOOK),
        Route(
            "POST",
            "/api/documents",
            editor.create_document,
            schemas.Saved,
            change,
            limit=LARGEST,
            scopes=DRAW,
        ),
        Route("GET", STORED, editor.show_document, scopes=LOOK),
        Route("PUT", STORED, editor.save_document, schemas.Saved, change, limit=LARGEST, scopes=DRAW),
        Route("PATCH", STORED, editor.extend_document, schemas.Tail, change, limit=LARGEST, scopes=DRAW),
        Route("PUT", f"{STORED}/name", editor.rename_document, schemas.Rename, change, scopes=DRAW),
        Route("DELETE", STORED, editor.delete_document, bucket=change, scopes=MANAGE),
        # conversations
        Route("GET", "/ask", chat.questions_page),
        Route("GET", "/talk", talk.conversations_page),
        Route("GET", f"/talk/{TURN}", talk.conversation_page),
        Route("GET", SAID, talk.show_conversation, scopes=LOOK),
        Route(
            "GET", f"/files/{JOB}/frames/{{n:[1-9][0-9]?}}.webp", chat.send_frame, bucket=read, scopes=LOOK
        ),
        Route("POST", "/api/videos", chat.keep_video, Body.PICTURE, upload, limit=video, scopes=DRAW),
        Route("GET", f"/files/{JOB}/table.{{kind:csv|json}}", chat.send_table, bucket=read, scopes=LOOK),
        *_talk_routes(settings),
        # tastes
        Route("GET", "/taste", account.taste_page),
        Route("GET", "/api/taste", account.show_taste, scopes=LOOK),
        Route("POST", "/api/taste/codes", account.keep_taste, schemas.NewCode, change, scopes=MANAGE),
        Route(
            "DELETE",
            "/api/taste/codes/{code:p[a-z2-7]{9}}",
            account.take_code_back,
            bucket=change,
            scopes=MANAGE,
        ),
        Route("PUT", STRUCK, account.strike_word, bucket=change, scopes=MANAGE),
        Route("DELETE", STRUCK, account.take_word_back, bucket=change, scopes=MANAGE),
        Route("PUT", SERVER_TASTE, account.count_in_server, bucket=change, scopes=MANAGE),
        Route("DELETE", SERVER_TASTE, account.forget_in_server, bucket=change, scopes=MANAGE),
        Route(
            "PATCH", SERVER_TASTE, account.change_in_server, schemas.ServerTasteChanges, change, scopes=MANAGE
        ),
        Route("POST", "/api/taste/loras", taste_loras.train_lora, schemas.OfTaste, ask, scopes=MANAGE),
        Route("PUT", TASTE_LORA, taste_loras.turn_lora, schemas.OnOff, change, scopes=MANAGE),
        Route("DELETE", TASTE_LORA, taste_loras.forget_lora, bucket=change, scopes=MANAGE),
        Route("POST", f"{TASTE_LORA}/compare", taste_loras.compare_lora, schemas.Nothing, ask, scopes=MANAGE),
        Route("POST", f"{TASTE_LORA}/choices", taste_loras.choose_half, schemas.Half, change, scopes=MANAGE),
        Route("GET", f"/taste/blind/{PROJECT}", taste_loras.blind_page),
        Route(
            "GET",
            f"/files/taste/{PROJECT}/{{pair:[0-9]{{1,2}}}}/{{half:[12]}}.webp",
            taste_loras.send_half,
            bucket=read,
            scopes=LOOK,
        ),
        Route("GET", "/taste/nine", account.nine_page),
        Route("GET", "/api/taste/nine", account.show_nine, scopes=LOOK),
        Route("POST", "/api/taste/nine", account.rate_nine, schemas.Rated, change, scopes=MANAGE),
        # sets of examples
        Route("GET", "/examples", chat.examples_page),
        Route("GET", f"/examples/{SET}", chat.example_set_page),
        Route("GET", "/api/examples", chat.list_sets, scopes=LOOK),
        Route("POST", "/api/examples", chat.add_examples, schemas.NewExamples, change, scopes=MANAGE),
        Route("POST", "/api/examples/new", chat.create_set, schemas.NewSet, change, scopes=MANAGE),
        Route("DELETE", f"/api/examples/{SET}", chat.delete_set, bucket=change, query=PARTS, scopes=MANAGE),
        Route("POST", f"/api/examples/{SET}/try", chat.try_set, schemas.Try, ask, scopes=ASK),
        Route("GET", f"/files/examples/{SET}/{EXAMPLE}.webp", chat.send_example, bucket=read, scopes=LOOK),
        # the wall of styles
        Route(
            "GET",
            "/api/wall",
            gallery.list_styles,
            query=("q", "like", "liked", "order", "before"),
            scopes=LOOK,
        ),
        Route("POST", f"/api/wall/{STYLE}/like", gallery.like_style, schemas.Liked, change, scopes=MANAGE),
        Route("POST", "/api/wall/code", gallery.make_code, schemas.CodeOf, ask, scopes=DRAW),
        Route("GET", f"/files/wall/{STYLE}.webp", gallery.send_tile, bucket=read, scopes=LOOK),
        # pages and bytes of projects
        Route("GET", "/projects", projects.projects_page),
        Route("GET", f"/projects/{PROJECT}", projects.project_page, query=CHOSEN),
        Route("GET", f"/projects/{PROJECT}/label", projects.label_page, query=("picture",)),
        Route("GET", f"/projects/{PROJECT}/report", projects.report_page, query=REPORT),
        Route("GET", f"/projects/{PROJECT}/try", projects.try_page),
        Route("GET", f"/projects/{PROJECT}/watch", projects.watch_page, query=("before",)),
        Route("GET", f"/projects/{PROJECT}/settings", projects.project_settings_page),
        Route(
            "GET", f"{FILES}/{SHA256}.{{suffix:webp|png}}", projects.send_picture, bucket=read, scopes=LOOK
        ),
        Route(
            "GET",
            f"{FILES}/{SHA256}/masks/{{mask:[0-9a-f]{{64}}}}.png",
            projects.send_mask,
            bucket=read,
            scopes=LOOK,
        ),
        Route("GET", f"{FILES}/versions/{VERSION}/{CHART}", projects.send_chart, bucket=read, scopes=LOOK),
        Route("GET", LABELS, projects.send_labels, bucket=ask, query=("pictures",), scopes=LOOK),
        Route("GET", f"/files/verdicts/{JOB}.csv", projects.send_verdicts, bucket=read, scopes=LOOK),
        Route("GET", f"/files/bundles/{JOB}", projects.send_bundle, bucket=ask, scopes=INSPECT),
        # projects
        Route("GET", "/api/projects", projects.list_projects, scopes=LOOK),
        Route("POST", "/api/projects", projects.create_project, schemas.NewProject, change, scopes=MANAGE),
        Route("GET", API, projects.show_project, scopes=LOOK),
        Route("PATCH", API, projects.change_project, schemas.ProjectChanges, change, scopes=MANAGE),
        Route("DELETE", API, projects.forget_project, bucket=change, scopes=MANAGE),
        Route("PUT", f"{API}/rights", projects.share_project, schemas.Granted, change, scopes=MANAGE),
        Route("POST", f"{API}/labels", projects.put_label, schemas.NewLabel, change, scopes=INSPECT),
        Route("POST", f"{API}/labels/drop", projects.drop_label, schemas.DroppedLabel, change, scopes=MANAGE),
        Route("POST", f"{API}/import", projects.import_labels, Body.FILES, ask, limit=PACKED, scopes=INSPECT),
        Route("GET", f"{API}/pictures", projects.show_pictures, query=CHOSEN, scopes=LOOK),
        Route(
            "POST", f"{API}/pictures", projects.add_pictures, Body.FILES, upload, limit=PACKED, scopes=INSPECT
        ),
        Route("POST", f"{API}/remove", projects.remove_pictures, schemas.Chosen, change, scopes=MANAGE),
        Route(
            "POST", f"{API}/leave-out", projects.leave_pictures_out, schemas.LeftOut, change, scopes=INSPECT
        ),
        Route("POST", f"{API}/next", projects.show_next, schemas.Skipped, scopes=INSPECT),
        Route("POST", f"{API}/marks", projects.mark_picture, schemas.Mark, change, scopes=INSPECT),
        Route("POST", f"{API}/describe", projects.write_captions, bucket=ask, scopes=INSPECT),
        Route("POST", f"{API}/train", projects.train_version, schemas.Training, ask, scopes=INSPECT),
        Route("GET", f"{API}/versions", projects.list_versions, scopes=LOOK),
        Route(
            "POST",
            f"{API}/versions/{VERSION}/use",
            projects.use_version,
            schemas.Nothing,
            change,
            scopes=INSPECT,
        ),
        Route(
            "POST",
            f"{API}/versions/{VERSION}/threshold",
            projects.keep_threshold,
            schemas.Move,
            change,
            scopes=INSPECT,
        ),
        Route(
            "POST",
            f"{API}/versions/{VERSION}/bundle",
            projects.queue_bundle,
            schemas.Nothing,
            ask,
            scopes=INSPECT,
        ),
        Route("POST", f"{API}/look", projects.look_through, schemas.Nothing, change, scopes=INSPECT),
        Route("POST", f"{API}/try", projects.try_version, Body.FILES, ask, limit=PACKED, scopes=INSPECT),
        Route("GET", f"{API}/watches", projects.list_watches, query=("before",), scopes=LOOK),
        Route("POST", f"{API}/watches", projects.add_watch, schemas.NewWatch, change, scopes=MANAGE),
        Route("PATCH", WATCH, projects.change_watch, schemas.WatchChanges, change, scopes=MANAGE),
        Route(
            "POST",
            f"{WATCH}/pictures",
            projects.receive_picture,
            Body.PICTURE,
            upload,
            limit=picture,
            scopes=INSPECT,
        ),
        Route("DELETE", WATCH, projects.remove_watch, bucket=change, scopes=MANAGE),
        Route("GET", f"/api/verdicts/{JOB}", projects.list_verdicts, scopes=LOOK),
        Route(
            "POST",
            f"/api/verdicts/{JOB}/{NUMBER}",
            projects.answer_verdict,
            schemas.Judgement,
            change,
            scopes=INSPECT,
        ),
    )


def activity_routes(inside: Activity) -> tuple[Route, ...]:
    """Return the routes that only Discord's frame has."""
    change, nothing = Bucket.CHANGE, schemas.Nothing
    return (
        Route("GET", "/", inside.page, everybody=True, query=("prompt", "from", "n", "talk", "frame_id")),
        Route("GET", "/in", inside.signed_out, everybody=True, query=("next",)),
        Route("POST", "/api/activity/begin", inside.begin, nothing, change, everybody=True),
        Route("POST", "/api/activity/sign-in", inside.sign_in, schemas.Code, change, everybody=True),
        Route("POST", f"/api/activity/send/{JOB}/{NUMBER}", inside.send, nothing, Bucket.ASK),
        Route("POST", "/api/activity/leave", inside.leave, schemas.Page, change),
    )


def inside_table(routes: Collection[Route], inside: Activity) -> tuple[Route, ...]:
    """Return every route of Discord's frame: its own, and ``routes`` without other ways to sign in."""
    own = activity_routes(inside)
    taken = {(route.method, route.path) for route in own}
    others = (one for one in routes if one.bucket is not Bucket.SIGN_IN)
    return (*own, *(one for one in others if (one.method, one.path) not in taken))


def _talk_routes(settings: Settings) -> tuple[Route, ...]:
    """Return the routes by which something is said; of a host without conversations only questions."""
    ask, change, new = Bucket.ASK, Bucket.CHANGE, schemas.NewTalk
    if settings.talk == "off":
        return Route("POST", "/api/talk", talk.ask, new, ask, scopes=ASK), Route(
            "POST", SAID, talk.ask, new, ask, scopes=ASK
        )
    return (
        Route("POST", "/api/talk", talk.say, new, ask, scopes=TALK),
        Route("POST", SAID, talk.say, new, ask, scopes=TALK),
        Route("POST", "/api/talk/preview", talk.preview, schemas.Typed, Bucket.PREVIEW, scopes=TALK),
        Route("POST", "/api/talk/without", talk.take_out, schemas.Without, ask, scopes=TALK),
        Route("POST", "/api/talk/replay", talk.replay, schemas.Replay, ask, scopes=TALK),
        Route("POST", f"{SAID}/show", talk.show, schemas.Picked, change, scopes=TALK),
        Route("POST", f"{SAID}/step", talk.step, schemas.Steps, change, scopes=TALK),
        Route("POST", f"{SAID}/meant", talk.correct, schemas.Meant, ask, scopes=TALK),
        Route("POST", f"{SAID}/offer", talk.take_offer, schemas.Offered, ask, scopes=TALK),
    )
