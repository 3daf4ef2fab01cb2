"""What a server's manager does: the queue, the words, the members."""

from __future__ import annotations

from proofs.walk.newcomer import DONE
from proofs.walk.page import DRAWING, Page
from proofs.walk.report import Report


def walk(page: Page, report: Report) -> None:
    """Do what an admin does, and see what members see of it."""
    page.view_as("you")
    _queue(page, report)
    _words(page, report)
    _members(page, report)


def _queue(page: Page, report: Report) -> None:
    who = "admin"
    with report.step(who, "/queue pause", "an answer in a sentence") as step:
        since = page.run("queue pause")
        step.saw(page.wait_text("(?i)pause", since=since))
    with report.step(who, "asks for a picture meanwhile", "its message tells of the pause") as step:
        asked = page.imagine("a brown cat --draft")
        step.saw(page.wait_text("a brown cat.*an admin has paused the queue", since=asked))
    with report.step(who, "/queue show", "who waits for what") as step:
        since = page.run("queue show")
        step.saw(page.wait_text("a brown cat.*1st|1st.*a brown cat", since=since))
    with report.step(who, "/queue resume", "the picture is drawn") as step:
        page.run("queue resume")
        step.saw(page.wait_text("a brown cat.*" + DONE, DRAWING, since=asked))


def _words(page: Page, report: Report) -> None:
    who = "admin"
    with report.step(who, "/moderation add", "the word is on the list") as step:
        since = page.run("moderation add", word="dragon")
        step.saw(page.wait_text("dragon.*on the list", since=since))
    with report.step(who, "asks for a dr4g0n", "a refusal that names the rule") as step:
        since = page.imagine("a dr4g0n at sea")
        step.saw(page.wait_text("Only you can see this.*word list", since=since))
    with report.step(who, "/moderation test", "what would happen, without a strike") as step:
        since = page.run("moderation test", text="a dr4g0n")
        step.saw(page.wait_text("Here: ", since=since))


def _members(page: Page, report: Report) -> None:
    who = "admin"
    with report.step(who, "/studio ban guest", "an answer in a sentence") as step:
        since = _about_guest(page, "studio ban")
        step.saw(page.wait_text("can't use Atelier here", since=since))
    with report.step("guest", "asks for a picture", "a refusal in a sentence") as step:
        page.view_as("guest")
        since = page.imagine("a boat --draft")
        step.saw(page.wait_text("Only you can see this.*(blocked|banned)", since=since))
    page.view_as("you")
    with report.step(who, "/studio unban guest", "an answer in a sentence") as step:
        since = _about_guest(page, "studio unban")
        step.saw(page.wait_text("may use Atelier again", since=since))
    with report.step(who, "/studio audit", "who did what to whom, by name") as step:
        since = page.run("studio audit")
        step.saw(page.wait_text("ban.*@guest|@guest.*ban", since=since))
    with report.step(who, "/studio rules", "the rules of this server") as step:
        since = page.run("studio rules")
        step.saw(page.wait_text("Only you can see this", since=since))
        step.saw(page.last())


def _about_guest(page: Page, command: str) -> int:
    before = page.newest()
    page.type_command(command)
    page.fill("user", "guest")
    page.pick("guest")
    page.send()
    return before
