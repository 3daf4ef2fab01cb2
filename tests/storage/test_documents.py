"""Rows of documents: versions, whose they are, how many there are, and the files that they keep."""

from datetime import timedelta

import sqlalchemy as sa

from storage import documents, privacy
from storage.database import Database
from storage.documents import Content
from storage.schema import document_files
from tests.storage.conftest import NOW
from tests.storage.test_trash import ANN, BEN

A, B = "a" * 64, "b" * 64


def content(text: str = "{}", *files: str) -> Content:
    return Content(text, {"width": 64}, files)


async def kept(
    database: Database, name: str = "", *files: str, user: int = ANN, most: int = 3, later: int = 0
) -> str | None:
    now = NOW + timedelta(seconds=later)
    return await database.write(
        lambda c: documents.add_document(c, user, name, content("{}", *files), now=now, most=most)
    )


async def saved(database: Database, document: str, version: int, user: int = ANN, *files: str):
    given = content('{"v":2}', *files)
    return await database.write(lambda c: documents.save_document(c, user, document, version, given, now=NOW))


async def names(database: Database, user: int = ANN) -> list[str]:
    return [one.id for one in await database.read(lambda c: documents.list_documents(c, user))]


async def test_a_change_is_written_over_the_version_it_knows_and_over_no_other(database: Database) -> None:
    document = await kept(database)
    assert document is not None
    assert await saved(database, document, 1) == 2
    assert await saved(database, document, 1) is None
    assert await saved(database, document, 3) is None
    assert await saved(database, document, 2, BEN) is None
    found = await database.read(lambda c: documents.find_document(c, ANN, document))
    assert found is not None and (found.version, found.content) == (2, '{"v":2}')
    assert await database.read(lambda c: documents.find_document(c, BEN, document)) is None
    assert not await database.write(lambda c: documents.delete_document(c, BEN, document))
    assert await database.write(lambda c: documents.delete_document(c, ANN, document))
    assert await names(database) == []


async def test_one_too_many_is_refused_and_takes_no_other_s_place(database: Database) -> None:
    named, unnamed = await kept(database, "harbour", most=2), await kept(database, later=1, most=2)
    assert await kept(database, later=2, most=2) is None
    assert await names(database) == [unnamed, named]
    assert await kept(database, user=BEN, most=1), "everybody's are counted apart"


async def test_what_a_document_needs_is_kept_though_it_was_sent_long_ago(database: Database) -> None:
    for user, sha256 in ((ANN, A), (ANN, B), (BEN, B)):
        await database.write(
            lambda c, user=user, sha256=sha256: privacy.note_upload(c, user, sha256, now=NOW)
        )
    document = await kept(database, "", A, "c" * 64)
    assert document is not None
    files = sa.select(document_files.c.sha256)
    assert await database.read(lambda c: list(c.execute(files).scalars())) == [A], "what she has sent"
    later = NOW + timedelta(days=40)
    assert await database.write(lambda c: privacy.drop_uploads(c, later)) == (2, {B})
    assert await database.read(lambda c: privacy.sent(c, ANN, A))
    assert not await database.read(lambda c: privacy.sent(c, BEN, B))
    await saved(database, document, 1)
    assert await database.read(lambda c: list(c.execute(files).scalars())) == []
    assert await database.write(lambda c: privacy.drop_uploads(c, later)) == (1, {A})


async def test_documents_without_a_name_end(database: Database) -> None:
    old, named = await kept(database, later=-10), await kept(database, "harbour", later=-10)
    fresh = await kept(database, later=10)
    await database.write(lambda c: documents.drop_unnamed(c, NOW))
    assert set(await names(database)) == {named, fresh} and old not in (named, fresh)
