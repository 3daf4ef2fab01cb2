"""The table of all routes, and the OpenAPI 3.1 document that is made from it. What isn't here isn't served.

https://spec.openapis.org/oas/v3.1.1.html
"""

import asyncio
import re
from collections.abc import Collection
from functools import cache
from typing import Any

import msgspec

from core.settings import Settings
from studio.media.masks import MAX_BYTES
from studio.projects.projects import MAX_ZIP
from web import schemas
from web.call import Answer, Body, Bucket, Call, Json, Route
from web.handlers import account, chat, collections, editor, gallery, jobs, pages, projects, shares, talk
from web.handlers.account import Account, SettingsForm
from web.handlers.activity import Activity
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
VERSION = "{version:[0-9]{1,6}}"
STYLE = "{style:[0-9]{1,10}}"
TOKEN, SHARE = "{token:[A-Za-z0-9_-]{43}}", "{share:[a-z2-9]{12}}"
ID = "{session:[a-z2-9]{12}}"
PACKED = MAX_ZIP + 64 * 1024  # bytes of a form with files: a zip file, and what stands around it
LARGEST = 384 * 1024  # bytes of a body with a document, which is smaller: its text may be escaped
PICTURE, SHARED = f"/files/{JOB}/{NUMBER}", f"/files/s/{TOKEN}/{JOB}/{NUMBER}"
STORED, ITEMS = f"/api/documents/{DOCUMENT}", f"/api/folders/{FOLDER}/items"
API, FILES = f"/api/projects/{PROJECT}", f"/files/projects/{PROJECT}"
LABELS = f"{FILES}/labels-{{form:csv|coco|yolo}}.zip"
FILTERS = gallery.FIELDS
DISCORD, PARTS = ("code", "state", "iss", "error"), ("example", "label")
REPORT, CHOSEN = ("version", "move", "with", "bundle"), ("label", "state", "after")
ANY = (*FILTERS, "trash", "folder", "before", "limit", "skip")


def route_table(settings: Settings, own: Account) -> tuple[Route, ...]:
    """Return every route."""
    read, ask, change, upload = Bucket.BYTES, Bucket.ASK, Bucket.CHANGE, Bucket.UPLOAD
    picture, clip = settings.max_upload_mb * 2**20, settings.clip_max_mb * 2**20
    video = settings.max_video_mb * 2**20
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
        Route("GET", "/keys", pages.keys_page),
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
        # jobs and pictures
        Route("GET", "/api/jobs", jobs.show_stream),
        Route("POST", "/api/jobs", jobs.ask_jobs, schemas.NewJobs, ask),
        Route("POST", "/api/drafts/{draft:[a-z2-9]{12}}", jobs.confirm, schemas.Nothing, ask),
        Route("GET", f"/api/jobs/{JOB}", jobs.show_job),
        Route("DELETE", f"/api/jobs/{JOB}", jobs.delete_job, bucket=change),
        Route("POST", f"/api/jobs/{JOB}/cancel", jobs.cancel_job, schemas.Nothing, change),
        Route("POST", f"/api/jobs/{JOB}/{NUMBER}/{ACTION}", jobs.press_button, schemas.Press, ask),
        Route("GET", "/api/complete", jobs.complete, query=("text",)),
        Route("POST", "/api/uploads", jobs.upload, Body.PICTURE, upload, limit=picture),
        Route("POST", "/api/clips", jobs.keep_clip, Body.PICTURE, upload, limit=clip),
        Route("GET", "/api/pictures", gallery.list_pictures, query=ANY),
        Route("GET", "/api/months", gallery.list_months),
        Route("GET", "/api/days", gallery.list_days, query=(*FILTERS, "trash", "folder")),
        Route("GET", "/api/explore", gallery.list_explored, query=(*gallery.FILTERS, "before", "limit")),
        Route("GET", "/api/queues", jobs.list_queues),
        Route("PUT", f"/api/favourites/{JOB}/{NUMBER}", gallery.keep_favourite, bucket=change),
        Route("DELETE", f"/api/favourites/{JOB}/{NUMBER}", gallery.drop_favourite, bucket=change),
        Route("GET", "/api/settings", form.show),
        Route("PATCH", "/api/settings", form.change, schemas.Changes, change),
        # a person's data
        Route("GET", "/privacy", account.privacy_page),
        Route("GET", "/api/privacy", account.show_privacy),
        Route("DELETE", "/api/privacy", own.delete_person, bucket=change),
        Route("GET", "/api/privacy/export", account.export_person, bucket=ask, query=("pictures",)),
        # bytes
        Route("GET", PICTURE, gallery.send_original, bucket=read, query=("download",)),
        Route("GET", f"{PICTURE}/{SIDE}.webp", gallery.send_small, bucket=read, query=("plain",)),
        Route("GET", f"{PICTURE}.mp4", gallery.send_video, bucket=read, query=("download",)),
        Route("GET", f"{PICTURE}.gif", gallery.send_gif, bucket=ask),
        Route("GET", f"/files/uploads/{SHA256}", gallery.send_upload, bucket=read),
        Route("GET", f"/files/uploads/{SHA256}.webp", gallery.send_upload_small, bucket=read),
        Route("GET", f"/previews/{JOB}/{{step:[0-9]{{1,4}}}}", gallery.send_preview, bucket=read),
        # the trash
        Route("GET", "/trash", collections.trash_page, query=("before",)),
        Route("POST", "/api/trash", collections.put_in_trash, schemas.Named, change, limit=most),
        Route("POST", "/api/trash/restore", collections.take_from_trash, schemas.Named, change, limit=most),
        Route("POST", "/api/trash/delete", collections.delete_trashed, schemas.Named, change, limit=most),
        Route("DELETE", "/api/trash", collections.empty_trash, bucket=change),
        # folders
        Route("GET", "/folders", collections.folders_page),
        Route("GET", f"/folders/{FOLDER}", collections.folder_page, query=(*FILTERS, "before")),
        Route("GET", "/api/folders", collections.list_folders),
        Route("POST", "/api/folders", collections.create_folder, schemas.NewFolder, change),
        Route("PATCH", f"/api/folders/{FOLDER}", collections.rename_folder, schemas.Rename, change),
        Route("DELETE", f"/api/folders/{FOLDER}", collections.delete_folder, bucket=change),
        Route("POST", ITEMS, collections.put_in_folder, schemas.Named, change, limit=most),
        Route("POST", f"{ITEMS}/remove", collections.take_out_of_folder, schemas.Named, change, limit=most),
        Route("GET", "/api/zip", collections.zip_found, bucket=ask, query=("job", "folder")),
        Route("POST", "/api/zip", collections.zip_chosen, Body.FORM, ask, limit=most),
        # shares
        Route("GET", "/shares", shares.shares_page),
        Route("GET", "/api/shares", shares.list_shares),
        Route("POST", "/api/shares", shares.create_share, schemas.NewShare, change),
        Route("DELETE", f"/api/shares/{SHARE}", shares.revoke_share, bucket=change),
        Route("GET", f"/s/{TOKEN}", shares.shared_page, everybody=True, query=("before",)),
        Route("GET", f"/s/{TOKEN}/embed.json", shares.shared_embed, bucket=read, everybody=True),
        Route("GET", SHARED, shares.send_shared, bucket=read, everybody=True),
        Route("GET", f"{SHARED}/{SIDE}.webp", shares.send_shared, bucket=read, everybody=True),
        Route("GET", f"{SHARED}.mp4", shares.send_shared_video, bucket=read, everybody=True),
        Route("GET", "/api/channels", shares.list_channels),
        Route("POST", "/api/posts", shares.post_picture, schemas.Post, ask),
        # the editor
        Route("POST", "/api/edits", editor.ask_edit, schemas.Edit, ask, limit=LARGEST),
        Route("POST", "/api/edits/look", editor.preview_edit, schemas.Look, limit=LARGEST),
        Route("POST", "/api/selects", editor.select_pixels, schemas.Select, Bucket.SELECT),
        Route("POST", "/api/masks", editor.keep_mask, Body.PICTURE, change, limit=MAX_BYTES),
        Route("GET", f"/files/masks/{SHA256}.png", editor.send_mask, bucket=read),
        Route("GET", "/api/documents", editor.list_documents),
        Route("POST", "/api/documents", editor.create_document, schemas.Saved, change, limit=LARGEST),
        Route("GET", STORED, editor.show_document),
        Route("PUT", STORED, editor.save_document, schemas.Saved, change, limit=LARGEST),
        Route("PATCH", STORED, editor.extend_document, schemas.Tail, change, limit=LARGEST),
        Route("PUT", f"{STORED}/name", editor.rename_document, schemas.Rename, change),
        Route("DELETE", STORED, editor.delete_document, bucket=change),
        # conversations
        Route("GET", "/ask", chat.questions_page),
        Route("GET", "/talk", talk.conversations_page),
        Route("GET", f"/talk/{TURN}", talk.conversation_page),
        Route("GET", SAID, talk.show_conversation),
        Route("GET", f"/files/{JOB}/frames/{{n:[1-9][0-9]?}}.webp", chat.send_frame, bucket=read),
        Route("POST", "/api/videos", chat.keep_video, Body.PICTURE, upload, limit=video),
        Route("GET", f"/files/{JOB}/table.{{kind:csv|json}}", chat.send_table, bucket=read),
        *_talk_routes(settings),
        # sets of examples
        Route("GET", "/examples", chat.examples_page),
        Route("GET", f"/examples/{SET}", chat.example_set_page),
        Route("GET", "/api/examples", chat.list_sets),
        Route("POST", "/api/examples", chat.add_examples, schemas.NewExamples, change),
        Route("POST", "/api/examples/new", chat.create_set, schemas.NewSet, change),
        Route("DELETE", f"/api/examples/{SET}", chat.delete_set, bucket=change, query=PARTS),
        Route("POST", f"/api/examples/{SET}/try", chat.try_set, schemas.Try, ask),
        Route("GET", f"/files/examples/{SET}/{EXAMPLE}.webp", chat.send_example, bucket=read),
        # the wall of styles
        Route("GET", "/api/wall", gallery.list_styles, query=("q", "like", "liked", "before")),
        Route("POST", f"/api/wall/{STYLE}/like", gallery.like_style, schemas.Liked, change),
        Route("POST", "/api/wall/code", gallery.make_code, schemas.CodeOf, ask),
        Route("GET", f"/files/wall/{STYLE}.webp", gallery.send_tile, bucket=read),
        # pages and bytes of projects
        Route("GET", "/projects", projects.projects_page),
        Route("GET", f"/projects/{PROJECT}", projects.project_page, query=CHOSEN),
        Route("GET", f"/projects/{PROJECT}/label", projects.label_page, query=("picture",)),
        Route("GET", f"/projects/{PROJECT}/report", projects.report_page, query=REPORT),
        Route("GET", f"/projects/{PROJECT}/try", projects.try_page),
        Route("GET", f"/projects/{PROJECT}/settings", projects.project_settings_page),
        Route("GET", f"{FILES}/{SHA256}.{{suffix:webp|png}}", projects.send_picture, bucket=read),
        Route("GET", f"{FILES}/{SHA256}/masks/{{mask:[0-9a-f]{{64}}}}.png", projects.send_mask, bucket=read),
        Route("GET", f"{FILES}/versions/{VERSION}/{CHART}", projects.send_chart, bucket=read),
        Route("GET", LABELS, projects.send_labels, bucket=ask, query=("pictures",)),
        Route("GET", f"/files/verdicts/{JOB}.csv", projects.send_verdicts, bucket=read),
        Route("GET", f"/files/bundles/{JOB}", projects.send_bundle, bucket=ask),
        # projects
        Route("GET", "/api/projects", projects.list_projects),
        Route("POST", "/api/projects", projects.create_project, schemas.NewProject, change),
        Route("GET", API, projects.show_project),
        Route("PATCH", API, projects.change_project, schemas.ProjectChanges, change),
        Route("DELETE", API, projects.forget_project, bucket=change),
        Route("PUT", f"{API}/rights", projects.share_project, schemas.Granted, change),
        Route("POST", f"{API}/labels", projects.put_label, schemas.NewLabel, change),
        Route("POST", f"{API}/labels/drop", projects.drop_label, schemas.DroppedLabel, change),
        Route("POST", f"{API}/import", projects.import_labels, Body.FILES, ask, limit=PACKED),
        Route("GET", f"{API}/pictures", projects.show_pictures, query=CHOSEN),
        Route("POST", f"{API}/pictures", projects.add_pictures, Body.FILES, upload, limit=PACKED),
        Route("POST", f"{API}/remove", projects.remove_pictures, schemas.Chosen, change),
        Route("POST", f"{API}/leave-out", projects.leave_pictures_out, schemas.LeftOut, change),
        Route("POST", f"{API}/next", projects.show_next, schemas.Skipped),
        Route("POST", f"{API}/marks", projects.mark_picture, schemas.Mark, change),
        Route("POST", f"{API}/describe", projects.write_captions, bucket=ask),
        Route("POST", f"{API}/train", projects.train_version, schemas.Training, ask),
        Route("GET", f"{API}/versions", projects.list_versions),
        Route("POST", f"{API}/versions/{VERSION}/use", projects.use_version, schemas.Nothing, change),
        Route("POST", f"{API}/versions/{VERSION}/threshold", projects.keep_threshold, schemas.Move, change),
        Route("POST", f"{API}/versions/{VERSION}/bundle", projects.queue_bundle, schemas.Nothing, ask),
        Route("POST", f"{API}/look", projects.look_through, schemas.Nothing, change),
        Route("POST", f"{API}/try", projects.try_version, Body.FILES, ask, limit=PACKED),
        Route("GET", f"/api/verdicts/{JOB}", projects.list_verdicts),
        Route("POST", f"/api/verdicts/{JOB}/{NUMBER}", projects.answer_verdict, schemas.Judgement, change),
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
        return Route("POST", "/api/talk", talk.ask, new, ask), Route("POST", SAID, talk.ask, new, ask)
    return (
        Route("POST", "/api/talk", talk.say, new, ask),
        Route("POST", SAID, talk.say, new, ask),
        Route("POST", "/api/talk/preview", talk.preview, schemas.Typed, Bucket.PREVIEW),
        Route("POST", "/api/talk/without", talk.take_out, schemas.Without, ask),
        Route("POST", "/api/talk/replay", talk.replay, schemas.Replay, ask),
        Route("POST", f"{SAID}/show", talk.show, schemas.Picked, change),
        Route("POST", f"{SAID}/step", talk.step, schemas.Steps, change),
        Route("POST", f"{SAID}/meant", talk.correct, schemas.Meant, ask),
        Route("POST", f"{SAID}/offer", talk.take_offer, schemas.Offered, ask),
    )


PART = re.compile(r"\{(\w+)(?::((?:[^{}]|\{[^}]*\})*))?\}")  # of a path: its name and what it matches
_SCHEMA = "#/components/schemas/{name}"
_PROBLEM = {  # RFC 9457, with what this studio adds
    "type": "object",
    "required": ["status", "title", "detail"],
    "properties": {
        "status": {"type": "integer"},
        "title": {"type": "string"},
        "detail": {"type": "string"},
        "retry_after": {"type": "number"},
    },
}


def describe_routes(routes: Collection[Route]) -> dict[str, Any]:
    """Return the description of ``routes``."""
    paths: dict[str, dict[str, Any]] = {}
    taken = dict.fromkeys(route.takes for route in routes if route.takes)
    _, shapes = msgspec.json.schema_components(taken, ref_template=_SCHEMA)
    for route in routes:
        paths.setdefault(PART.sub(r"{\1}", route.path), {})[route.method.lower()] = _operation(route)
    return {
        "openapi": "3.1.0",
        "info": {"title": "Atelier's studio on the web", "version": "1"},
        "paths": paths,
        "components": {
            "schemas": {**shapes, "Problem": _PROBLEM},
            "securitySchemes": {"session": {"type": "apiKey", "in": "cookie", "name": "__Host-atelier"}},
        },
    }


def _operation(route: Route) -> dict[str, Any]:
    described: dict[str, Any] = {
        "summary": (route.handler.__doc__ or "").strip().partition("\n")[0],
        "parameters": [
            *_of_path(route),
            *({"name": name, "in": "query", "schema": {"type": "string"}} for name in route.query),
        ],
        "responses": _answers(route),
    }
    if not route.everybody:
        described["security"] = [{"session": []}]
    if route.body is not Body.NONE:
        described["requestBody"] = {"required": True, "content": _content(route)}
    return described


def _of_path(route: Route) -> list[dict[str, Any]]:
    return [
        {
            "name": name,
            "in": "path",
            "required": True,
            "schema": {"type": "string", **({"pattern": f"^(?:{pattern})$"} if pattern else {})},
        }
        for name, pattern in PART.findall(route.path)
    ]


def _content(route: Route) -> dict[str, Any]:
    if route.body is Body.PICTURE:
        return {"image/*": {"schema": {"type": "string", "format": "binary"}}}
    if route.body is Body.FILES:
        parts = {"files": {"type": "array", "items": {"type": "string", "format": "binary"}}}
        sent = {"type": "object", "properties": parts, "additionalProperties": {"type": "string"}}
        return {route.body.value: {"schema": sent}}
    if route.body is Body.FORM:
        words = {"type": "object", "additionalProperties": {"type": "string"}}
        return {route.body.value: {"schema": words}}
    named = {"$ref": _SCHEMA.format(name=route.takes.__name__)} if route.takes else {"type": "object"}
    return {route.body.value: {"schema": named}}


def _answers(route: Route) -> dict[str, Any]:
    """What a route answers: pages are read by people, so of them the kind is all that there is to say."""
    kind = "text/html" if route.is_page else "application/problem+json"
    wrong = {"schema": {"type": "string"} if route.is_page else {"$ref": _SCHEMA.format(name="Problem")}}
    return {
        "2XX": {"description": "It is done."},
        "3XX": {"description": "The page to continue with."},
        "4XX": {"description": "It isn't done; the answer says why.", "content": {kind: wrong}},
    }


def with_description(routes: tuple[Route, ...]) -> tuple[Route, ...]:
    """Return ``routes`` with one more, which describes them all."""

    @cache  # ten milliseconds, too long for the event loop
    def known() -> dict[str, Any]:
        return describe_routes(found)

    async def show(call: Call) -> Answer:
        """Return this document."""
        return Json(await asyncio.to_thread(known))

    found = (*routes, Route("GET", "/api/openapi.json", show))
    return found
