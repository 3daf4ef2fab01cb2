"""Pages of the studio in Discord's frame, for tests that know only pages: with INSIDE=1 they run there."""

from typing import Any

from yarl import URL

from tests.web.fake_discord import opened_at

OUTSIDE = {  # tests that don't run there → why
    "test_every_component_looks_as_it_was_last_looked_at": "What is higher than a frame isn't drawn whole.",
    **dict.fromkeys(
        (
            "test_signing_in",
            "test_a_session_that_ended_while_the_line_was_away_leads_to_signing_in_and_back",
            "test_a_tab_of_somebody_who_has_left_the_browser_does_nothing_as_the_next",
            "test_the_link_is_spent_by_its_button_alone",
            "test_a_link_is_tried_again_where_the_studio_could_not_look_at_it",
            "test_who_signs_in_goes_on_with_the_page_that_was_wanted",
            "test_a_link_works_on_the_page_that_signing_out_leads_to",
            "test_what_is_typed_while_a_prompt_is_sent_stays_and_outlives_the_session",
        ),
        "There Discord says who somebody is.",
    ),
    "test_a_picture_is_shared_and_the_link_taken_back_by_keys": "Who has the link isn't in Discord.",
    "test_outside_of_discord_it_says_where_it_belongs": "It opens the page of the frame without Discord.",
}
OF_THE_PAGE = {"on", "once", "remove_listener", "expect_event", "wait_for_event", "is_closed"}


class Wrapped:
    """Passes on what it doesn't know itself."""

    def __init__(self, inner: Any) -> None:
        self.inner = inner

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)


class InsideBrowser(Wrapped):
    """A browser whose pages open the studio inside Discord."""

    async def new_context(self, **options: Any) -> "InsideContext":
        return InsideContext(await self.inner.new_context(**options))

    async def new_page(self, **options: Any) -> "InsidePage":
        return InsidePage(await self.inner.new_page(**options))


class InsideContext(Wrapped):
    """A context whose pages open the studio inside Discord."""

    async def new_page(self) -> "InsidePage":
        return InsidePage(await self.inner.new_page())

    async def add_cookies(self, cookies: list[dict[str, Any]]) -> None:
        """Set them for the frame, so that no page begins a session of its own: the eleventh ends another."""
        kept = {"sameSite": "None", "partitionKey": "http://localhost"}
        await self.inner.add_cookies([{**one, **kept} for one in cookies])

    async def new_cdp_session(self, page: "InsidePage") -> Any:
        return await self.inner.new_cdp_session(page.inner)


class InsidePage(Wrapped):
    """A page of Discord that is used as if it were the page in its frame, once that is open."""

    frame: Any = None

    @property
    def context(self) -> InsideContext:
        return InsideContext(self.inner.context)

    async def goto(self, address: str, **options: Any) -> Any:
        """Open a page in the frame. There nobody has to sign in; other sites open as they are."""
        target = URL(address)
        around = opened_at.get(str(target.origin()))
        if around is None:
            return await self.inner.goto(address, **options)
        if not self.inner.url.startswith(around):
            await self.inner.goto(around)
            shell = self.inner.frame_locator("iframe")
            await shell.frame_locator("iframe").locator("body[data-started]").wait_for(state="attached")
            self.frame = self.inner.frames[2]
            if URL(self.frame.url) == target:
                return None
        if target.path != "/in":
            return await self.frame.goto(address, **options)

    async def reload(self, **options: Any) -> None:
        """Load the page in the frame again."""
        if self.frame is None:
            await self.inner.reload(**options)
        else:
            await self.frame.goto(self.frame.url, **options)

    async def go_back(self) -> None:
        """Go back in the frame; the page around it has no history of its own."""
        if self.frame is None:
            await self.inner.go_back()
        else:
            await self.frame.evaluate("history.back()")

    def __getattr__(self, name: str) -> Any:
        in_frame = self.frame is not None and name not in OF_THE_PAGE and hasattr(self.frame, name)
        return getattr(self.frame if in_frame else self.inner, name)
