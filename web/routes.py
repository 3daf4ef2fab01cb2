"""The table of all routes. What isn't here isn't served."""

from __future__ import annotations

from core.settings import Settings
from studio.pictures.bits import MAX_BYTES
from studio.projects.limits import MAX_ZIP
from web.api import bodies
from web.call import Body, Bucket, Route
from web.fields import MOST_CHOSEN
from web.handlers import documents, edits, explore, files, gallery, jobs, queues, talks
from web.handlers.editor import EditorPages
from web.handlers.organise import examples, posts, zips
from web.handlers.organise.examples import ExampleHandlers
from web.handlers.organise.folders import FolderHandlers
from web.handlers.organise.shares import ShareHandlers
from web.handlers.organise.trash import TrashHandlers
from web.handlers.pages import Pages
from web.handlers.privacy import PrivacyHandlers
from web.handlers.projects import files as project_files
from web.handlers.projects import forms, programs
from web.handlers.projects.pages import ProjectPages
from web.handlers.settings import SettingsForm
from web.handlers.sign_in import SignIn

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
        *_talks(settings, talks.TalkPages(pages)),
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
        Route("GET", "/explore", pages.explore, query=(*explore.FILTERS, "before")),
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
            takes=bodies.Link,
        ),
        Route(
            "POST",
            "/api/session",
            signing.begin,
            Body.JSON,
            Bucket.SIGN_IN,
            everybody=True,
            takes=bodies.SignIn,
        ),
        Route("DELETE", "/api/session", signing.end, bucket=change),
        Route("DELETE", f"/api/sessions/{ID}", signing.end_other, bucket=change),
        Route("GET", "/api/jobs", jobs.stream_of),
        Route("POST", "/api/jobs", jobs.ask, Body.JSON, ask, takes=bodies.NewJobs),
        Route("POST", "/api/drafts/{draft:[a-z2-9]{12}}", jobs.confirm, Body.JSON, ask, takes=bodies.Nothing),
        Route("GET", f"/api/jobs/{JOB}", jobs.show),
        Route("DELETE", f"/api/jobs/{JOB}", jobs.delete, bucket=change),
        Route("POST", f"/api/jobs/{JOB}/cancel", jobs.cancel, Body.JSON, change, takes=bodies.Nothing),
        Route(
            "POST",
            f"/api/jobs/{JOB}/{NUMBER}/{{action:[a-z0-9]+}}",
            jobs.act,
            Body.JSON,
            ask,
            takes=bodies.Press,
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
        Route("GET", "/api/explore", explore.pictures, query=(*explore.FILTERS, "before", "limit")),
        Route("GET", "/api/queues", queues.managed),
        Route("PUT", f"/api/favourites/{JOB}/{NUMBER}", gallery.keep, bucket=change),
        Route("DELETE", f"/api/favourites/{JOB}/{NUMBER}", gallery.let_go, bucket=change),
        Route("GET", "/api/settings", form.show),
        Route("PATCH", "/api/settings", form.change, Body.JSON, change, takes=bodies.Changes),
    )


def _bytes() -> tuple[Route, ...]:
    read = Bucket.BYTES
    return (
        Route("GET", f"/files/{JOB}/{NUMBER}", files.original, bucket=read, query=("download",)),
        Route(
            "GET", f"/files/{JOB}/{NUMBER}/{{side:256|512}}.webp", files.small, bucket=read, query=("plain",)
        ),
        Route("GET", f"/files/{JOB}/{NUMBER}.mp4", files.film, bucket=read, query=("download",)),
        Route("GET", f"/files/{JOB}/{NUMBER}.gif", files.gif, bucket=Bucket.ASK),
        Route("GET", "/files/uploads/{sha256:[0-9a-f]{64}}", files.sent_whole, bucket=read),
        Route("GET", "/files/uploads/{sha256:[0-9a-f]{64}}.webp", files.sent, bucket=read),
        Route("GET", f"/previews/{JOB}/{{step:[0-9]{{1,4}}}}", files.preview, bucket=read),
    )


def _trash(trash: TrashHandlers) -> tuple[Route, ...]:
    change, most = Bucket.CHANGE, MOST_CHOSEN * NAME
    return (
        Route("GET", "/trash", trash.page, query=("before",)),
        Route("POST", "/api/trash", trash.put, Body.JSON, change, limit=most, takes=bodies.Named),
        Route(
            "POST", "/api/trash/restore", trash.take_back, Body.JSON, change, limit=most, takes=bodies.Named
        ),
        Route("POST", "/api/trash/delete", trash.delete, Body.JSON, change, limit=most, takes=bodies.Named),
        Route("DELETE", "/api/trash", trash.empty, bucket=change),
    )


def _folders(folders: FolderHandlers) -> tuple[Route, ...]:
    change, most, items = Bucket.CHANGE, MOST_CHOSEN * NAME, f"/api/folders/{FOLDER}/items"
    return (
        Route("GET", "/folders", folders.page),
        Route("GET", f"/folders/{FOLDER}", folders.one, query=(*FILTERS, "before")),
        Route("GET", "/api/folders", folders.all),
        Route("POST", "/api/folders", folders.create, Body.JSON, change, takes=bodies.NewFolder),
        Route("PATCH", f"/api/folders/{FOLDER}", folders.rename, Body.JSON, change, takes=bodies.Rename),
        Route("DELETE", f"/api/folders/{FOLDER}", folders.delete, bucket=change),
        Route("POST", items, folders.put, Body.JSON, change, limit=most, takes=bodies.Named),
        Route("POST", f"{items}/remove", folders.take_out, Body.JSON, change, limit=most, takes=bodies.Named),
    )


def _zips() -> tuple[Route, ...]:
    ask = Bucket.ASK
    return (
        Route("GET", "/api/zip", zips.found, bucket=ask, query=("job", "folder")),
        Route("POST", "/api/zip", zips.chosen, Body.FORM, ask, limit=MOST_CHOSEN * NAME),
    )


def _shares(shares: ShareHandlers) -> tuple[Route, ...]:
    change, read, files = Bucket.CHANGE, Bucket.BYTES, f"/files/s/{TOKEN}/{JOB}/{NUMBER}"
    return (
        Route("GET", "/shares", shares.page),
        Route("GET", "/api/shares", shares.all),
        Route("POST", "/api/shares", shares.create, Body.JSON, change, takes=bodies.NewShare),
        Route("DELETE", f"/api/shares/{SHARE}", shares.revoke, bucket=change),
        Route("GET", f"/s/{TOKEN}", shares.look, everybody=True, query=("before",)),
        Route("GET", files, shares.original, bucket=read, everybody=True),
        Route("GET", f"{files}/{{side:256|512}}.webp", shares.small, bucket=read, everybody=True),
        Route("GET", f"{files}.mp4", shares.film, bucket=read, everybody=True),
    )


def _posts() -> tuple[Route, ...]:
    return (
        Route("GET", "/api/channels", posts.channels),
        Route("POST", "/api/posts", posts.post, Body.JSON, Bucket.ASK, takes=bodies.Post),
    )


def _editor() -> tuple[Route, ...]:
    read, change, ask, one = Bucket.READ, Bucket.CHANGE, Bucket.ASK, f"/api/documents/{DOCUMENT}"
    return (
        Route("POST", "/api/edits", edits.ask, Body.JSON, ask, limit=LARGEST, takes=bodies.Edit),
        Route("POST", "/api/edits/look", edits.look, Body.JSON, read, limit=LARGEST, takes=bodies.Look),
        Route("POST", "/api/selects", edits.select, Body.JSON, Bucket.SELECT, takes=bodies.Select),
        Route("POST", "/api/masks", edits.keep_mask, Body.PICTURE, change, limit=MAX_BYTES),
        Route("GET", "/files/masks/{sha256:[0-9a-f]{64}}.png", edits.mask, bucket=Bucket.BYTES),
        Route("GET", "/api/documents", documents.all),
        Route(
            "POST", "/api/documents", documents.create, Body.JSON, change, limit=LARGEST, takes=bodies.Saved
        ),
        Route("GET", one, documents.one),
        Route("PUT", one, documents.save, Body.JSON, change, limit=LARGEST, takes=bodies.Saved),
        Route("PATCH", one, documents.extend, Body.JSON, change, limit=LARGEST, takes=bodies.Tail),
        Route("PUT", f"{one}/name", documents.rename, Body.JSON, change, takes=bodies.Rename),
        Route("DELETE", one, documents.delete, bucket=change),
    )


def _talks(settings: Settings, pages: talks.TalkPages) -> tuple[Route, ...]:
    ask, film = Bucket.ASK, settings.max_film_mb * 2**20
    return (
        Route("GET", "/ask", pages.start),
        Route("GET", f"/talk/{JOB}", pages.page),
        Route("GET", f"/api/talk/{JOB}", talks.show),
        Route("GET", f"/files/{JOB}/frames/{{n:[1-9][0-9]?}}.webp", talks.frame, bucket=Bucket.BYTES),
        Route("POST", "/api/films", talks.keep_film, Body.PICTURE, Bucket.UPLOAD, limit=film),
        Route("GET", f"/files/{JOB}/table.{{kind:csv|json}}", talks.table, bucket=Bucket.BYTES),
        Route("POST", "/api/talk", talks.begin, Body.JSON, ask, takes=bodies.NewTalk),
        Route("POST", f"/api/talk/{JOB}", talks.go_on, Body.JSON, ask, takes=bodies.NewTalk),
    )


def _examples(pages: ExampleHandlers) -> tuple[Route, ...]:
    ask, change, small = Bucket.ASK, Bucket.CHANGE, f"/files/examples/{SET}/{{example:[0-9]{{1,18}}}}.webp"
    return (
        Route("GET", "/examples", pages.page),
        Route("POST", "/examples", pages.create, Body.FORM, change),
        Route("GET", f"/examples/{SET}", pages.one),
        Route("POST", f"/examples/{SET}/delete", pages.delete, Body.FORM, change),
        Route("GET", "/api/examples", examples.all_sets),
        Route("POST", "/api/examples", examples.add, Body.JSON, change, takes=bodies.NewExamples),
        Route("POST", f"/api/examples/{SET}/try", examples.try_on, Body.JSON, ask, takes=bodies.Try),
        Route("GET", small, examples.small, bucket=Bucket.BYTES),
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
    with_file = forms.ProjectForms(pages)
    return (
        Route("POST", f"{one}/import", with_file.import_labels, Body.FILES, ask, limit=PACKED),
        Route("POST", f"{one}/change", forms.change, Body.FORM, change),
        Route("POST", f"{one}/use", forms.use, Body.FORM, change),
        Route("POST", f"{one}/threshold", forms.keep_threshold, Body.FORM, change),
        Route("POST", f"{one}/bundle", forms.bundle, Body.FORM, ask),
        Route("POST", f"{one}/answer", forms.answer, Body.FORM, change),
        Route("POST", f"{one}/rename", forms.rename, Body.FORM, change),
        Route("POST", f"{one}/alike", forms.set_alike, Body.FORM, change),
        Route("POST", f"{one}/look", forms.look_through, Body.FORM, change),
        Route("POST", f"{one}/voices", forms.set_voices, Body.FORM, change),
        Route("POST", f"{one}/labels", forms.put_label, Body.FORM, change),
        Route("POST", f"{one}/labels/drop", forms.drop_label, Body.FORM, change),
        Route("POST", f"{one}/share", forms.share, Body.FORM, change),
        Route("POST", f"{one}/forget", forms.forget, Body.FORM, change),
    )


def _project_programs() -> tuple[Route, ...]:
    one, ask, change, verdicts = f"/api/projects/{PROJECT}", Bucket.ASK, Bucket.CHANGE, f"/api/verdicts/{JOB}"
    chosen = ("label", "state", "after")
    return (
        Route("GET", "/api/projects", programs.all_projects),
        Route("POST", "/api/projects", programs.create, Body.JSON, change, takes=bodies.NewProject),
        Route("GET", one, programs.one),
        Route("GET", f"{one}/pictures", programs.pictures, query=chosen),
        Route("POST", f"{one}/pictures", programs.add, Body.FILES, Bucket.UPLOAD, limit=PACKED),
        Route("POST", f"{one}/remove", programs.remove, Body.JSON, change, takes=bodies.Chosen),
        Route("POST", f"{one}/leave-out", programs.leave_out, Body.JSON, change, takes=bodies.LeftOut),
        Route("POST", f"{one}/next", programs.next_one, Body.JSON, takes=bodies.Skipped),
        Route("POST", f"{one}/marks", programs.mark, Body.JSON, change, takes=bodies.Mark),
        Route("POST", f"{one}/train", programs.train, Body.JSON, ask, takes=bodies.Training),
        Route("GET", f"{one}/versions", programs.versions),
        Route("POST", f"{one}/try", programs.try_on, Body.FILES, ask, limit=PACKED),
        Route("GET", verdicts, programs.judged),
        Route("POST", f"{verdicts}/{NUMBER}", programs.answer, Body.JSON, change, takes=bodies.Judgement),
    )
