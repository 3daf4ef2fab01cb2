"""The table of all routes, and the OpenAPI 3.1 document that is made from it. What isn't here isn't served.

https://spec.openapis.org/oas/v3.1.1.html
"""

from __future__ import annotations

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
from web.handlers import chat, collections, editor, example_sets, gallery, jobs
from web.handlers import project_api as project_files
from web.handlers.account import PrivacyHandlers, SignIn
from web.handlers.collections import FolderHandlers, TrashHandlers
from web.handlers.editor import EditorPages
from web.handlers.example_sets import ExampleHandlers
from web.handlers.pages import Pages
from web.handlers.project_pages import ProjectPages
from web.handlers.settings import SettingsForm
from web.handlers.shares import ShareHandlers, list_channels, post_picture
from web.schemas import MOST_CHOSEN

LIVE = "/api/live"  # the one route that isn't a question and an answer
JOB, NUMBER = "{job:[a-z2-9]{12}}", "{n:[0-9]{1,2}}"
NAME = 24  # bytes of a picture's name in a body, at most
DOCUMENT = "{document:[a-z2-9]{12}}"
FOLDER = "{folder:[a-z2-9]{12}}"
SET = "{set:[a-z2-9]{12}}"
PROJECT = "{project:[a-z2-9]{12}}"
VERSION = "{version:[0-9]{1,6}}"
TOKEN, SHARE = "{token:[A-Za-z0-9_-]{43}}", "{share:[a-z2-9]{12}}"
ID = "{session:[a-z2-9]{12}}"
PACKED = MAX_ZIP + 64 * 1024  # bytes of a form with files: a zip file, and what stands around it
LARGEST = 384 * 1024  # bytes of a body with a document, which is smaller: its text may be escaped
FILTERS = gallery.FIELDS
ANY = (*FILTERS, "trash", "folder", "before", "limit", "skip")


def route_table(
    settings: Settings, pages: Pages, form: SettingsForm, signing: SignIn, own: PrivacyHandlers
) -> tuple[Route, ...]:
    """Return every route."""
    return (
        *_pages(pages),
        *_sign_in(signing),
        *_api(settings, form, signing),
        *_privacy(own),
        *_bytes(),
        *_trash(TrashHandlers(pages)),
        *_folders(FolderHandlers(pages)),
        *_shares(ShareHandlers(pages)),
        *_editor(),
        *_talks(settings, chat.TalkPages(pages)),
        *_examples(ExampleHandlers(pages)),
        *_projects(ProjectPages(pages)),
        *_project_programs(),
    )


def _pages(pages: Pages) -> tuple[Route, ...]:
    editing = EditorPages(pages)
    return (
        Route("GET", "/", pages.create, everybody=True, query=("prompt", "from", "n")),
        Route("GET", "/pictures", pages.pictures, query=(*FILTERS, "before")),
        Route("GET", f"/pictures/{JOB}/{NUMBER}", pages.picture),
        Route("GET", "/explore", pages.explore, query=(*gallery.FILTERS, "before")),
        Route("GET", "/queue", pages.queue),
        Route("GET", "/settings", pages.settings),
        Route("GET", "/sessions", pages.sessions),
        Route("GET", "/keys", pages.keys),
        Route("GET", f"/edit/{JOB}/{NUMBER}", editing.picture),
        Route("GET", f"/edit/d/{DOCUMENT}", editing.document),
        Route("GET", "/documents", editing.documents),
    )


def _privacy(own: PrivacyHandlers) -> tuple[Route, ...]:
    return (
        Route("GET", "/privacy", own.page),
        Route("GET", "/api/privacy", own.show),
        Route("DELETE", "/api/privacy", own.delete, bucket=Bucket.CHANGE),
        Route("GET", "/api/privacy/export", own.export, bucket=Bucket.ASK, query=("pictures",)),
    )


def _sign_in(signing: SignIn) -> tuple[Route, ...]:
    way, told = Bucket.SIGN_IN, ("code", "state", "iss", "error")
    return (
        Route("GET", "/in", signing.page, everybody=True, query=("next",)),
        Route("GET", "/in/discord", signing.to_discord, bucket=way, everybody=True, query=("next",)),
        Route("GET", "/in/discord/back", signing.from_discord, bucket=way, everybody=True, query=told),
    )


def _api(settings: Settings, form: SettingsForm, signing: SignIn) -> tuple[Route, ...]:
    ask, change = Bucket.ASK, Bucket.CHANGE
    upload, clip = settings.max_upload_mb * 2**20, settings.clip_max_mb * 2**20
    return (
        Route("POST", "/api/sign-in/look", signing.look, schemas.Link, Bucket.SIGN_IN, everybody=True),
        Route("POST", "/api/session", signing.begin, schemas.SignIn, Bucket.SIGN_IN, everybody=True),
        Route("DELETE", "/api/session", signing.end, bucket=change),
        Route("DELETE", f"/api/sessions/{ID}", signing.end_other, bucket=change),
        Route("GET", "/api/jobs", jobs.show_stream),
        Route("POST", "/api/jobs", jobs.ask_jobs, schemas.NewJobs, ask),
        Route("POST", "/api/drafts/{draft:[a-z2-9]{12}}", jobs.confirm, schemas.Nothing, ask),
        Route("GET", f"/api/jobs/{JOB}", jobs.show_job),
        Route("DELETE", f"/api/jobs/{JOB}", jobs.delete_job, bucket=change),
        Route("POST", f"/api/jobs/{JOB}/cancel", jobs.cancel_job, schemas.Nothing, change),
        Route(
            "POST", f"/api/jobs/{JOB}/{NUMBER}/{{action:[a-z0-9]+}}", jobs.press_button, schemas.Press, ask
        ),
        Route("GET", "/api/complete", jobs.complete, query=("text",)),
        Route("POST", "/api/uploads", jobs.upload, Body.PICTURE, Bucket.UPLOAD, limit=upload),
        Route("POST", "/api/clips", jobs.keep_clip, Body.PICTURE, Bucket.UPLOAD, limit=clip),
        Route("GET", "/api/pictures", gallery.list_pictures, query=ANY),
        Route("GET", "/api/months", gallery.list_months),
        Route("GET", "/api/explore", gallery.list_explored, query=(*gallery.FILTERS, "before", "limit")),
        Route("GET", "/api/queues", jobs.list_queues),
        Route("PUT", f"/api/favourites/{JOB}/{NUMBER}", gallery.keep_favourite, bucket=change),
        Route("DELETE", f"/api/favourites/{JOB}/{NUMBER}", gallery.drop_favourite, bucket=change),
        Route("GET", "/api/settings", form.show),
        Route("PATCH", "/api/settings", form.change, schemas.Changes, change),
    )


def _bytes() -> tuple[Route, ...]:
    read, one = Bucket.BYTES, f"/files/{JOB}/{NUMBER}"
    return (
        Route("GET", one, gallery.send_original, bucket=read, query=("download",)),
        Route("GET", f"{one}/{{side:256|512}}.webp", gallery.send_small, bucket=read, query=("plain",)),
        Route("GET", f"{one}.mp4", gallery.send_video, bucket=read, query=("download",)),
        Route("GET", f"{one}.gif", gallery.send_gif, bucket=Bucket.ASK),
        Route("GET", "/files/uploads/{sha256:[0-9a-f]{64}}", gallery.send_upload, bucket=read),
        Route("GET", "/files/uploads/{sha256:[0-9a-f]{64}}.webp", gallery.send_upload_small, bucket=read),
        Route("GET", f"/previews/{JOB}/{{step:[0-9]{{1,4}}}}", gallery.send_preview, bucket=read),
    )


def _trash(trash: TrashHandlers) -> tuple[Route, ...]:
    change, most = Bucket.CHANGE, MOST_CHOSEN * NAME
    return (
        Route("GET", "/trash", trash.page, query=("before",)),
        Route("POST", "/api/trash", trash.put, schemas.Named, change, limit=most),
        Route("POST", "/api/trash/restore", trash.take_back, schemas.Named, change, limit=most),
        Route("POST", "/api/trash/delete", trash.delete, schemas.Named, change, limit=most),
        Route("DELETE", "/api/trash", trash.empty, bucket=change),
    )


def _folders(folders: FolderHandlers) -> tuple[Route, ...]:
    change, most, items = Bucket.CHANGE, MOST_CHOSEN * NAME, f"/api/folders/{FOLDER}/items"
    return (
        Route("GET", "/folders", folders.page),
        Route("GET", f"/folders/{FOLDER}", folders.one, query=(*FILTERS, "before")),
        Route("GET", "/api/folders", folders.all),
        Route("POST", "/api/folders", folders.create, schemas.NewFolder, change),
        Route("PATCH", f"/api/folders/{FOLDER}", folders.rename, schemas.Rename, change),
        Route("DELETE", f"/api/folders/{FOLDER}", folders.delete, bucket=change),
        Route("POST", items, folders.put, schemas.Named, change, limit=most),
        Route("POST", f"{items}/remove", folders.take_out, schemas.Named, change, limit=most),
        Route("GET", "/api/zip", collections.zip_found, bucket=Bucket.ASK, query=("job", "folder")),
        Route("POST", "/api/zip", collections.zip_chosen, Body.FORM, Bucket.ASK, limit=most),
    )


def _shares(shares: ShareHandlers) -> tuple[Route, ...]:
    change, read, files = Bucket.CHANGE, Bucket.BYTES, f"/files/s/{TOKEN}/{JOB}/{NUMBER}"
    return (
        Route("GET", "/shares", shares.page),
        Route("GET", "/api/shares", shares.all),
        Route("POST", "/api/shares", shares.create, schemas.NewShare, change),
        Route("DELETE", f"/api/shares/{SHARE}", shares.revoke, bucket=change),
        Route("GET", f"/s/{TOKEN}", shares.look, everybody=True, query=("before",)),
        Route("GET", files, shares.original, bucket=read, everybody=True),
        Route("GET", f"{files}/{{side:256|512}}.webp", shares.small, bucket=read, everybody=True),
        Route("GET", f"{files}.mp4", shares.video, bucket=read, everybody=True),
        Route("GET", "/api/channels", list_channels),
        Route("POST", "/api/posts", post_picture, schemas.Post, Bucket.ASK),
    )


def _editor() -> tuple[Route, ...]:
    read, change, ask, one = Bucket.READ, Bucket.CHANGE, Bucket.ASK, f"/api/documents/{DOCUMENT}"
    return (
        Route("POST", "/api/edits", editor.ask_edit, schemas.Edit, ask, limit=LARGEST),
        Route("POST", "/api/edits/look", editor.preview_edit, schemas.Look, read, limit=LARGEST),
        Route("POST", "/api/selects", editor.select_pixels, schemas.Select, Bucket.SELECT),
        Route("POST", "/api/masks", editor.keep_mask, Body.PICTURE, change, limit=MAX_BYTES),
        Route("GET", "/files/masks/{sha256:[0-9a-f]{64}}.png", editor.send_mask, bucket=Bucket.BYTES),
        Route("GET", "/api/documents", editor.list_documents),
        Route("POST", "/api/documents", editor.create_document, schemas.Saved, change, limit=LARGEST),
        Route("GET", one, editor.show_document),
        Route("PUT", one, editor.save_document, schemas.Saved, change, limit=LARGEST),
        Route("PATCH", one, editor.extend_document, schemas.Tail, change, limit=LARGEST),
        Route("PUT", f"{one}/name", editor.rename_document, schemas.Rename, change),
        Route("DELETE", one, editor.delete_document, bucket=change),
    )


def _talks(settings: Settings, pages: chat.TalkPages) -> tuple[Route, ...]:
    ask, video = Bucket.ASK, settings.max_video_mb * 2**20
    return (
        Route("GET", "/ask", pages.start),
        Route("GET", f"/talk/{JOB}", pages.page),
        Route("GET", f"/api/talk/{JOB}", chat.show_conversation),
        Route("GET", f"/files/{JOB}/frames/{{n:[1-9][0-9]?}}.webp", chat.send_frame, bucket=Bucket.BYTES),
        Route("POST", "/api/videos", chat.keep_video, Body.PICTURE, Bucket.UPLOAD, limit=video),
        Route("GET", f"/files/{JOB}/table.{{kind:csv|json}}", chat.send_table, bucket=Bucket.BYTES),
        Route("POST", "/api/talk", chat.begin_conversation, schemas.NewTalk, ask),
        Route("POST", f"/api/talk/{JOB}", chat.continue_conversation, schemas.NewTalk, ask),
    )


def _examples(pages: ExampleHandlers) -> tuple[Route, ...]:
    ask, change, small = Bucket.ASK, Bucket.CHANGE, f"/files/examples/{SET}/{{example:[0-9]{{1,18}}}}.webp"
    return (
        Route("GET", "/examples", pages.page),
        Route("GET", f"/examples/{SET}", pages.one),
        Route("GET", "/api/examples", example_sets.list_sets),
        Route("POST", "/api/examples", example_sets.add_examples, schemas.NewExamples, change),
        Route("POST", "/api/examples/new", example_sets.create_set, schemas.NewSet, change),
        Route(
            "DELETE",
            f"/api/examples/{SET}",
            example_sets.delete_set,
            bucket=change,
            query=("example", "label"),
        ),
        Route("POST", f"/api/examples/{SET}/try", example_sets.try_set, schemas.Try, ask),
        Route("GET", small, example_sets.send_example, bucket=Bucket.BYTES),
    )


def _projects(pages: ProjectPages) -> tuple[Route, ...]:
    one, read, shown = f"/projects/{PROJECT}", Bucket.BYTES, f"/files/projects/{PROJECT}"
    picture = f"{shown}/{{sha256:[0-9a-f]{{64}}}}.{{suffix:webp|png}}"
    labels = "labels-{form:csv|coco|yolo}.zip"
    mask = "{sha256:[0-9a-f]{64}}/masks/{mask:[0-9a-f]{64}}.png"
    chart = f"{VERSION}/{{chart:[a-z0-9-]{{1,40}}}}"
    return (
        Route("GET", "/projects", pages.all),
        Route("GET", one, pages.one, query=("label", "state", "after")),
        Route("GET", f"{one}/label", pages.label, query=("picture",)),
        Route("GET", f"{one}/report", pages.report, query=("version", "move", "with", "bundle")),
        Route("GET", f"{one}/try", pages.try_on),
        Route("GET", f"{one}/settings", pages.settings),
        Route("GET", picture, project_files.send_picture, bucket=read),
        Route("GET", f"{shown}/{mask}", project_files.send_mask, bucket=read),
        Route("GET", f"{shown}/versions/{chart}", project_files.send_chart, bucket=read),
        Route("GET", f"{shown}/{labels}", project_files.send_labels, bucket=Bucket.ASK, query=("pictures",)),
        Route("GET", f"/files/verdicts/{JOB}.csv", project_files.send_verdicts, bucket=read),
        Route("GET", f"/files/bundles/{JOB}", project_files.send_bundle, bucket=Bucket.ASK),
    )


def _project_programs() -> tuple[Route, ...]:
    one, ask, change, verdicts = f"/api/projects/{PROJECT}", Bucket.ASK, Bucket.CHANGE, f"/api/verdicts/{JOB}"
    chosen, version = ("label", "state", "after"), f"{one}/versions/{VERSION}"
    return (
        Route("GET", "/api/projects", project_files.list_projects),
        Route("POST", "/api/projects", project_files.create_project, schemas.NewProject, change),
        Route("GET", one, project_files.show_project),
        Route("PATCH", one, project_files.change_project, schemas.ProjectChanges, change),
        Route("DELETE", one, project_files.forget_project, bucket=change),
        Route("PUT", f"{one}/rights", project_files.share_project, schemas.Granted, change),
        Route("POST", f"{one}/labels", project_files.put_label, schemas.NewLabel, change),
        Route("POST", f"{one}/labels/drop", project_files.drop_label, schemas.DroppedLabel, change),
        Route("POST", f"{one}/import", project_files.import_labels, Body.FILES, ask, limit=PACKED),
        Route("GET", f"{one}/pictures", project_files.show_pictures, query=chosen),
        Route("POST", f"{one}/pictures", project_files.add_pictures, Body.FILES, Bucket.UPLOAD, limit=PACKED),
        Route("POST", f"{one}/remove", project_files.remove_pictures, schemas.Chosen, change),
        Route("POST", f"{one}/leave-out", project_files.leave_pictures_out, schemas.LeftOut, change),
        Route("POST", f"{one}/next", project_files.show_next, schemas.Skipped),
        Route("POST", f"{one}/marks", project_files.mark_picture, schemas.Mark, change),
        Route("POST", f"{one}/train", project_files.train_version, schemas.Training, ask),
        Route("GET", f"{one}/versions", project_files.list_versions),
        Route("POST", f"{version}/use", project_files.use_version, schemas.Nothing, change),
        Route("POST", f"{version}/threshold", project_files.keep_threshold, schemas.Move, change),
        Route("POST", f"{version}/bundle", project_files.queue_bundle, schemas.Nothing, ask),
        Route("POST", f"{one}/look", project_files.look_through, schemas.Nothing, change),
        Route("POST", f"{one}/try", project_files.try_version, Body.FILES, ask, limit=PACKED),
        Route("GET", verdicts, project_files.list_verdicts),
        Route("POST", f"{verdicts}/{NUMBER}", project_files.answer_verdict, schemas.Judgement, change),
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
        "3XX": {"description": "The page to go on with."},
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
