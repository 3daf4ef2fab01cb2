"""The table of all routes. What isn't here isn't served."""

from __future__ import annotations

from core.settings import Settings
from studio.media.masks import MAX_BYTES
from studio.projects.projects import MAX_ZIP
from web import schemas
from web.call import Body, Bucket, Route
from web.handlers import chat, collections, editor, example_sets, gallery, jobs, project_pages, shares
from web.handlers import project_api as project_files
from web.handlers.account import PrivacyHandlers, SignIn
from web.handlers.collections import FolderHandlers, TrashHandlers
from web.handlers.editor import EditorPages
from web.handlers.example_sets import ExampleHandlers
from web.handlers.pages import Pages
from web.handlers.project_pages import ProjectPages
from web.handlers.settings import SettingsForm
from web.handlers.shares import ShareHandlers
from web.schemas import MOST_CHOSEN

LIVE = "/api/live"  # the one route that isn't a question and an answer
JOB, NUMBER = "{job:[a-z2-9]{12}}", "{n:[0-9]{1,2}}"
NAME = 24  # bytes of a picture's name in a body, at most
DOCUMENT = "{document:[a-z2-9]{12}}"
FOLDER = "{folder:[a-z2-9]{12}}"
SET = "{set:[a-z2-9]{12}}"
PROJECT = "{project:[a-z2-9]{12}}"
TOKEN, SHARE = "{token:[A-Za-z0-9_-]{43}}", "{share:[a-z2-9]{12}}"
ID = "{session:[a-z2-9]{12}}"
PACKED = MAX_ZIP + 64 * 1024  # bytes of a form with files: a zip file, and what stands around it
LARGEST = 384 * 1024  # bytes of a body with a document, which is smaller: its text may be escaped
FILTERS = gallery.FIELDS
ANY = (*FILTERS, "trash", "folder", "before", "limit", "skip")


def table(
    settings: Settings, pages: Pages, form: SettingsForm, signing: SignIn, own: PrivacyHandlers
) -> tuple[Route, ...]:
    """Return every route."""
    return (
        *_pages(pages),
        *_edit(EditorPages(pages)),
        *_sign_in(signing),
        *_api(settings, form, signing),
        *_privacy(own),
        *_bytes(),
        *_trash(TrashHandlers(pages)),
        *_folders(FolderHandlers(pages)),
        *_zips(),
        *_shares(ShareHandlers(pages)),
        *_posts(),
        *_editor(),
        *_talks(settings, chat.TalkPages(pages)),
        *_examples(ExampleHandlers(pages)),
        *_projects(ProjectPages(pages)),
        *_project_forms(ProjectPages(pages)),
        *_project_programs(),
    )


def _pages(pages: Pages) -> tuple[Route, ...]:
    return (
        Route("GET", "/", pages.create, everybody=True, query=("prompt", "from", "n")),
        Route("GET", "/pictures", pages.pictures, query=(*FILTERS, "before")),
        Route("GET", f"/pictures/{JOB}/{NUMBER}", pages.picture),
        Route("GET", "/explore", pages.explore, query=(*gallery.FILTERS, "before")),
        Route("GET", "/queue", pages.queue),
        Route("GET", "/settings", pages.settings),
        Route("GET", "/sessions", pages.sessions),
        Route("GET", "/keys", pages.keys),
    )


def _privacy(own: PrivacyHandlers) -> tuple[Route, ...]:
    return (
        Route("GET", "/privacy", own.page),
        Route("GET", "/api/privacy", own.show),
        Route("DELETE", "/api/privacy", own.delete, bucket=Bucket.CHANGE),
        Route("GET", "/api/privacy/export", own.export, bucket=Bucket.ASK, query=("pictures",)),
    )


def _edit(pages: EditorPages) -> tuple[Route, ...]:
    return (
        Route("GET", f"/edit/{JOB}/{NUMBER}", pages.picture),
        Route("GET", f"/edit/d/{DOCUMENT}", pages.document),
        Route("GET", "/documents", pages.documents),
    )


def _sign_in(signing: SignIn) -> tuple[Route, ...]:
    way = Bucket.SIGN_IN
    return (
        Route("GET", "/in", signing.page, everybody=True, query=("next",)),
        Route("GET", "/in/discord", signing.to_discord, bucket=way, everybody=True, query=("next",)),
        Route(
            "GET",
            "/in/discord/back",
            signing.from_discord,
            bucket=way,
            everybody=True,
            query=("code", "state", "iss", "error"),
        ),
    )


def _api(settings: Settings, form: SettingsForm, signing: SignIn) -> tuple[Route, ...]:
    ask, change, upload = Bucket.ASK, Bucket.CHANGE, settings.max_upload_mb * 2**20
    return (
        Route(
            "POST",
            "/api/sign-in/look",
            signing.look,
            Body.JSON,
            Bucket.SIGN_IN,
            everybody=True,
            takes=schemas.Link,
        ),
        Route(
            "POST",
            "/api/session",
            signing.begin,
            Body.JSON,
            Bucket.SIGN_IN,
            everybody=True,
            takes=schemas.SignIn,
        ),
        Route("DELETE", "/api/session", signing.end, bucket=change),
        Route("DELETE", f"/api/sessions/{ID}", signing.end_other, bucket=change),
        Route("GET", "/api/jobs", jobs.stream_of),
        Route("POST", "/api/jobs", jobs.ask_jobs, Body.JSON, ask, takes=schemas.NewJobs),
        Route(
            "POST", "/api/drafts/{draft:[a-z2-9]{12}}", jobs.confirm, Body.JSON, ask, takes=schemas.Nothing
        ),
        Route("GET", f"/api/jobs/{JOB}", jobs.show),
        Route("DELETE", f"/api/jobs/{JOB}", jobs.delete_job, bucket=change),
        Route("POST", f"/api/jobs/{JOB}/cancel", jobs.cancel, Body.JSON, change, takes=schemas.Nothing),
        Route(
            "POST",
            f"/api/jobs/{JOB}/{NUMBER}/{{action:[a-z0-9]+}}",
            jobs.act,
            Body.JSON,
            ask,
            takes=schemas.Press,
        ),
        Route("GET", "/api/complete", jobs.complete, query=("text",)),
        Route("POST", "/api/uploads", jobs.upload, Body.PICTURE, Bucket.UPLOAD, limit=upload),
        Route(
            "POST",
            "/api/clips",
            jobs.keep_clip,
            Body.PICTURE,
            Bucket.UPLOAD,
            limit=settings.clip_max_mb * 2**20,
        ),
        Route("GET", "/api/pictures", gallery.pictures, query=ANY),
        Route("GET", "/api/months", gallery.months),
        Route("GET", "/api/explore", gallery.explore_pictures, query=(*gallery.FILTERS, "before", "limit")),
        Route("GET", "/api/queues", jobs.managed),
        Route("PUT", f"/api/favourites/{JOB}/{NUMBER}", gallery.keep, bucket=change),
        Route("DELETE", f"/api/favourites/{JOB}/{NUMBER}", gallery.let_go, bucket=change),
        Route("GET", "/api/settings", form.show),
        Route("PATCH", "/api/settings", form.change, Body.JSON, change, takes=schemas.Changes),
    )


def _bytes() -> tuple[Route, ...]:
    read = Bucket.BYTES
    return (
        Route("GET", f"/files/{JOB}/{NUMBER}", gallery.original, bucket=read, query=("download",)),
        Route(
            "GET",
            f"/files/{JOB}/{NUMBER}/{{side:256|512}}.webp",
            gallery.small,
            bucket=read,
            query=("plain",),
        ),
        Route("GET", f"/files/{JOB}/{NUMBER}.mp4", gallery.film, bucket=read, query=("download",)),
        Route("GET", f"/files/{JOB}/{NUMBER}.gif", gallery.gif, bucket=Bucket.ASK),
        Route("GET", "/files/uploads/{sha256:[0-9a-f]{64}}", gallery.sent_whole, bucket=read),
        Route("GET", "/files/uploads/{sha256:[0-9a-f]{64}}.webp", gallery.sent, bucket=read),
        Route("GET", f"/previews/{JOB}/{{step:[0-9]{{1,4}}}}", gallery.preview, bucket=read),
    )


def _trash(trash: TrashHandlers) -> tuple[Route, ...]:
    change, most = Bucket.CHANGE, MOST_CHOSEN * NAME
    return (
        Route("GET", "/trash", trash.page, query=("before",)),
        Route("POST", "/api/trash", trash.put, Body.JSON, change, limit=most, takes=schemas.Named),
        Route(
            "POST", "/api/trash/restore", trash.take_back, Body.JSON, change, limit=most, takes=schemas.Named
        ),
        Route("POST", "/api/trash/delete", trash.delete, Body.JSON, change, limit=most, takes=schemas.Named),
        Route("DELETE", "/api/trash", trash.empty, bucket=change),
    )


def _folders(folders: FolderHandlers) -> tuple[Route, ...]:
    change, most, items = Bucket.CHANGE, MOST_CHOSEN * NAME, f"/api/folders/{FOLDER}/items"
    return (
        Route("GET", "/folders", folders.page),
        Route("GET", f"/folders/{FOLDER}", folders.one, query=(*FILTERS, "before")),
        Route("GET", "/api/folders", folders.all),
        Route("POST", "/api/folders", folders.create, Body.JSON, change, takes=schemas.NewFolder),
        Route("PATCH", f"/api/folders/{FOLDER}", folders.rename, Body.JSON, change, takes=schemas.Rename),
        Route("DELETE", f"/api/folders/{FOLDER}", folders.delete, bucket=change),
        Route("POST", items, folders.put, Body.JSON, change, limit=most, takes=schemas.Named),
        Route(
            "POST", f"{items}/remove", folders.take_out, Body.JSON, change, limit=most, takes=schemas.Named
        ),
    )


def _zips() -> tuple[Route, ...]:
    ask = Bucket.ASK
    return (
        Route("GET", "/api/zip", collections.found, bucket=ask, query=("job", "folder")),
        Route("POST", "/api/zip", collections.chosen, Body.FORM, ask, limit=MOST_CHOSEN * NAME),
    )


def _shares(shares: ShareHandlers) -> tuple[Route, ...]:
    change, read, files = Bucket.CHANGE, Bucket.BYTES, f"/files/s/{TOKEN}/{JOB}/{NUMBER}"
    return (
        Route("GET", "/shares", shares.page),
        Route("GET", "/api/shares", shares.all),
        Route("POST", "/api/shares", shares.create, Body.JSON, change, takes=schemas.NewShare),
        Route("DELETE", f"/api/shares/{SHARE}", shares.revoke, bucket=change),
        Route("GET", f"/s/{TOKEN}", shares.look, everybody=True, query=("before",)),
        Route("GET", files, shares.original, bucket=read, everybody=True),
        Route("GET", f"{files}/{{side:256|512}}.webp", shares.small, bucket=read, everybody=True),
        Route("GET", f"{files}.mp4", shares.film, bucket=read, everybody=True),
    )


def _posts() -> tuple[Route, ...]:
    return (
        Route("GET", "/api/channels", shares.channels),
        Route("POST", "/api/posts", shares.post, Body.JSON, Bucket.ASK, takes=schemas.Post),
    )


def _editor() -> tuple[Route, ...]:
    read, change, ask, one = Bucket.READ, Bucket.CHANGE, Bucket.ASK, f"/api/documents/{DOCUMENT}"
    return (
        Route("POST", "/api/edits", editor.ask, Body.JSON, ask, limit=LARGEST, takes=schemas.Edit),
        Route("POST", "/api/edits/look", editor.look, Body.JSON, read, limit=LARGEST, takes=schemas.Look),
        Route("POST", "/api/selects", editor.select, Body.JSON, Bucket.SELECT, takes=schemas.Select),
        Route("POST", "/api/masks", editor.keep_mask, Body.PICTURE, change, limit=MAX_BYTES),
        Route("GET", "/files/masks/{sha256:[0-9a-f]{64}}.png", editor.mask, bucket=Bucket.BYTES),
        Route("GET", "/api/documents", editor.documents_all),
        Route("POST", "/api/documents", editor.create, Body.JSON, change, limit=LARGEST, takes=schemas.Saved),
        Route("GET", one, editor.one),
        Route("PUT", one, editor.save, Body.JSON, change, limit=LARGEST, takes=schemas.Saved),
        Route("PATCH", one, editor.extend, Body.JSON, change, limit=LARGEST, takes=schemas.Tail),
        Route("PUT", f"{one}/name", editor.rename, Body.JSON, change, takes=schemas.Rename),
        Route("DELETE", one, editor.delete, bucket=change),
    )


def _talks(settings: Settings, pages: chat.TalkPages) -> tuple[Route, ...]:
    ask, film = Bucket.ASK, settings.max_film_mb * 2**20
    return (
        Route("GET", "/ask", pages.start),
        Route("GET", f"/talk/{JOB}", pages.page),
        Route("GET", f"/api/talk/{JOB}", chat.show),
        Route("GET", f"/files/{JOB}/frames/{{n:[1-9][0-9]?}}.webp", chat.frame, bucket=Bucket.BYTES),
        Route("POST", "/api/films", chat.keep_film, Body.PICTURE, Bucket.UPLOAD, limit=film),
        Route("GET", f"/files/{JOB}/table.{{kind:csv|json}}", chat.table, bucket=Bucket.BYTES),
        Route("POST", "/api/talk", chat.begin, Body.JSON, ask, takes=schemas.NewTalk),
        Route("POST", f"/api/talk/{JOB}", chat.go_on, Body.JSON, ask, takes=schemas.NewTalk),
    )


def _examples(pages: ExampleHandlers) -> tuple[Route, ...]:
    ask, change, small = Bucket.ASK, Bucket.CHANGE, f"/files/examples/{SET}/{{example:[0-9]{{1,18}}}}.webp"
    return (
        Route("GET", "/examples", pages.page),
        Route("POST", "/examples", pages.create, Body.FORM, change),
        Route("GET", f"/examples/{SET}", pages.one),
        Route("POST", f"/examples/{SET}/delete", pages.delete, Body.FORM, change),
        Route("GET", "/api/examples", example_sets.all_sets),
        Route("POST", "/api/examples", example_sets.add, Body.JSON, change, takes=schemas.NewExamples),
        Route("POST", f"/api/examples/{SET}/try", example_sets.try_on, Body.JSON, ask, takes=schemas.Try),
        Route("GET", small, example_sets.small, bucket=Bucket.BYTES),
    )


def _projects(pages: ProjectPages) -> tuple[Route, ...]:
    one, read, shown = f"/projects/{PROJECT}", Bucket.BYTES, f"/files/projects/{PROJECT}"
    picture = f"{shown}/{{sha256:[0-9a-f]{{64}}}}.{{suffix:webp|png}}"
    labels = "labels-{form:csv|coco|yolo}.zip"
    mask = "{sha256:[0-9a-f]{64}}/masks/{mask:[0-9a-f]{64}}.png"
    chart = "{version:[0-9]{1,6}}/{chart:[a-z0-9-]{1,40}}"
    return (
        Route("GET", "/projects", pages.all),
        Route("GET", one, pages.one, query=("label", "state", "after")),
        Route("GET", f"{one}/label", pages.label, query=("picture",)),
        Route("GET", f"{one}/report", pages.report, query=("version", "move", "with", "bundle")),
        Route("GET", f"{one}/try", pages.try_on),
        Route("GET", f"{one}/settings", pages.settings),
        Route("GET", picture, project_files.picture, bucket=read),
        Route("GET", f"{shown}/{mask}", project_files.mask, bucket=read),
        Route("GET", f"{shown}/versions/{chart}", project_files.chart, bucket=read),
        Route("GET", f"{shown}/{labels}", project_files.labels, bucket=Bucket.ASK, query=("pictures",)),
        Route("GET", f"/files/verdicts/{JOB}.csv", project_files.table, bucket=read),
        Route("GET", f"/files/bundles/{JOB}", project_files.bundle, bucket=Bucket.ASK),
    )


def _project_forms(pages: ProjectPages) -> tuple[Route, ...]:
    one, ask, change = f"/projects/{PROJECT}", Bucket.ASK, Bucket.CHANGE
    with_file = project_pages.ProjectForms(pages)
    return (
        Route("POST", f"{one}/import", with_file.import_labels, Body.FILES, ask, limit=PACKED),
        Route("POST", f"{one}/change", project_pages.change, Body.FORM, change),
        Route("POST", f"{one}/use", project_pages.use, Body.FORM, change),
        Route("POST", f"{one}/threshold", project_pages.keep_threshold, Body.FORM, change),
        Route("POST", f"{one}/bundle", project_pages.bundle, Body.FORM, ask),
        Route("POST", f"{one}/answer", project_pages.answer, Body.FORM, change),
        Route("POST", f"{one}/rename", project_pages.rename, Body.FORM, change),
        Route("POST", f"{one}/alike", project_pages.set_alike, Body.FORM, change),
        Route("POST", f"{one}/look", project_pages.look_through, Body.FORM, change),
        Route("POST", f"{one}/voices", project_pages.set_voices, Body.FORM, change),
        Route("POST", f"{one}/labels", project_pages.put_label, Body.FORM, change),
        Route("POST", f"{one}/labels/drop", project_pages.drop_label, Body.FORM, change),
        Route("POST", f"{one}/share", project_pages.share, Body.FORM, change),
        Route("POST", f"{one}/forget", project_pages.forget, Body.FORM, change),
    )


def _project_programs() -> tuple[Route, ...]:
    one, ask, change, verdicts = f"/api/projects/{PROJECT}", Bucket.ASK, Bucket.CHANGE, f"/api/verdicts/{JOB}"
    chosen = ("label", "state", "after")
    return (
        Route("GET", "/api/projects", project_files.all_projects),
        Route("POST", "/api/projects", project_files.create, Body.JSON, change, takes=schemas.NewProject),
        Route("GET", one, project_files.one),
        Route("GET", f"{one}/pictures", project_files.pictures, query=chosen),
        Route("POST", f"{one}/pictures", project_files.add, Body.FILES, Bucket.UPLOAD, limit=PACKED),
        Route("POST", f"{one}/remove", project_files.remove, Body.JSON, change, takes=schemas.Chosen),
        Route("POST", f"{one}/leave-out", project_files.leave_out, Body.JSON, change, takes=schemas.LeftOut),
        Route("POST", f"{one}/next", project_files.next_one, Body.JSON, takes=schemas.Skipped),
        Route("POST", f"{one}/marks", project_files.mark, Body.JSON, change, takes=schemas.Mark),
        Route("POST", f"{one}/train", project_files.train, Body.JSON, ask, takes=schemas.Training),
        Route("GET", f"{one}/versions", project_files.versions),
        Route("POST", f"{one}/try", project_files.try_on, Body.FILES, ask, limit=PACKED),
        Route("GET", verdicts, project_files.judged),
        Route(
            "POST", f"{verdicts}/{NUMBER}", project_files.answer, Body.JSON, change, takes=schemas.Judgement
        ),
    )
