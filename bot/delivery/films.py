"""What the message of a film shows: the film as far as it fits, several as one mosaic, their buttons."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import discord

from bot.delivery import picture_buttons
from bot.delivery.post import Picture, Post, alt
from bot.ui import messages
from core.job import Job
from core.requests import GenerateRequest
from jobs.queue import Result
from storage.videos import StoredFilm
from studio.actor import Place
from studio.inputs import film_of
from studio.library.clips import FilmShowing
from studio.library.rendition import Showing, Shown
from studio.moderation.moderator import Moderator
from studio.moderation.rules import Visibility
from studio.texts import aspect_ratio, facts

SUFFIXES = {
    "video/mp4": "mp4",
    "image/gif": "gif",
    "image/png": "png",
    "image/webp": "webp",
    "image/jpeg": "jpg",
}
SOME_DELETED = "Some films of this job were deleted."


class FilmPosts:
    """Makes the posts of films, as they may be shown in the place they go to. posters: shows their first
    frames. web: as of ``Posts``."""

    def __init__(self, showing: FilmShowing, posters: Showing, moderator: Moderator, web: str) -> None:
        self._showing, self._posters, self._moderator, self._web = showing, posters, moderator, web

    async def result(self, result: Result, limit: int, place: Place) -> Post:
        """Return the final message of a job: its film, or all of them at once, small, with U for each."""
        job, films = result.job, result.films
        first = films[0]
        if len(films) > 1:
            shown = await self._showing.mosaic(films, job, limit)
            view = picture_buttons.for_films(job, films[-1].index + 1, self._web)
        else:
            shown = await self._showing.film(first, job, limit)
            view = picture_buttons.for_film(job, first.index, self._web)
        shown = await self._or_poster(shown, result, first.index, limit)
        asked = job.request.num_images if isinstance(job.request, GenerateRequest) else len(films)
        notes = (*shown.notes, SOME_DELETED) if len(films) < asked else shown.notes
        content = messages.finished(
            job,
            result.parameters,
            notes=notes,
            shape=aspect_ratio(first.width, first.height),
            facts=facts(first, result.parameters),
        )
        return await self._moderated(Post(content, _attached(shown, job), view), result, films, place)

    async def single(self, result: Result, index: int, user_id: int, limit: int, place: Place) -> Post:
        """Return film ``index`` (from 0) alone, in at most ``limit`` bytes, as the user asked for it."""
        job, film = result.job, film_of(result, index)
        content = messages.single(
            job,
            index,
            user_id,
            shape=aspect_ratio(film.width, film.height),
            facts=facts(film, result.parameters),
            noun="Film",
        )
        return await self.film(
            result, index, content, picture_buttons.for_film(job, index, self._web), limit, place
        )

    async def film(
        self, result: Result, index: int, content: str, view: discord.ui.View, limit: int, place: Place
    ) -> Post:
        """Return film ``index`` (from 0) in at most ``limit`` bytes, below ``content`` and above ``view``."""
        job, film = result.job, film_of(result, index)
        shown = await self._or_poster(await self._showing.film(film, job, limit), result, index, limit)
        content = "\n".join([content, *(f"-# {note}" for note in shown.notes)])
        return await self._moderated(Post(content, _attached(shown, job), view), result, [film], place)

    async def gif(self, result: Result, index: int, user_id: int, limit: int, place: Place) -> Post:
        """Return film ``index`` (from 0) as a GIF, which plays by itself."""
        job, film = await self._moderator.told(result.job, place), film_of(result, index)
        shown = await self._showing.gif(film, job, limit)
        content = messages.single(job, index, user_id, noun="GIF of film")
        content = "\n".join([content, *(f"-# {note}" for note in shown.notes)])
        return await self._moderated(Post(content, _attached(shown, job)), result, [film], place)

    async def _or_poster(self, shown: Shown, result: Result, index: int, limit: int) -> Shown:
        """Return the first frame in the place of a film that doesn't fit, with what is told of that."""
        poster = next((picture for picture in result.pictures if picture.index == index), None)
        if shown.data is not None or poster is None:
            return shown
        still = await self._posters.picture(poster, result.job, limit)
        return replace(still, notes=(*shown.notes, *still.notes))

    async def _moderated(self, post: Post, result: Result, films: Sequence[StoredFilm], place: Place) -> Post:
        """``post`` as the worst frame of ``films`` allows."""
        posters = {picture.index: picture.sha256 for picture in result.pictures}
        seen = [sha for film in films for sha in (film.sha256, posters.get(film.index)) if sha is not None]
        return as_visible(post, await self._moderator.visibility(tuple(seen), place), result.job)


def as_visible(post: Post, visibility: Visibility, job: Job) -> Post:
    """Return ``post`` as it is, behind a spoiler, or a notice without picture and buttons."""
    if visibility is Visibility.BLOCK:
        return Post(messages.held_back(job))
    if visibility is Visibility.SPOILER and post.picture is not None:
        return replace(post, picture=post.picture._replace(name=f"SPOILER_{post.picture.name}"))
    return post


def _attached(shown: Shown, job: Job) -> Picture | None:
    if shown.data is None:
        return None
    return Picture(shown.data, f"atelier-{job.id}.{SUFFIXES[shown.media_type]}", alt(job))
