"""Somebody else's project: every button, menu, window and command with its id is refused with a sentence, and
nothing changes; of a server's project, all but what its members may."""

import pytest

from bot.projects import views
from bot.projects.views import LOOKS, MARK, ProjectButton, ProjectMenu, mark_of
from studio.authority import Actor
from tests.bot.conftest import Studio
from tests.bot.test_own_models import bad, bring, good, told
from tests.bot.test_presses import press as press_job
from tests.bot.test_presses import single
from tests.bot.test_strangers import posted, state
from tests.support.messages import ids_of

USES = {"cameras", "show", "report", "chart", "compare", "try"}  # members of its server
COMMANDS: dict[str, dict] = {
    "add": {"image": bad(9)},
    "label": {},
    "labels": {"add": "x"},
    "train": {},
    "threshold": {"move": "looser"},
    "versions": {"use": 1},
    "share": {"train": True},
    "export": {},
    "import": {"file": ("labels.csv", b"file,label\n")},
    "change": {"new_name": "mine"},
    "watch": {"source": "line"},
    "forget": {},
}
NOT_THEIRS = ("There is no such project here", "You don't have permission", "Only the project's owner")


async def project(studio: Studio, *, only_me: bool) -> tuple[str, str]:
    """The id of alice's project with a version, and a picture of it without a label."""
    await studio.alice.slash(studio.channel, "inspect new", name="boards", only_me=only_me)
    await bring(studio, *(good(n) for n in range(1, 6)), label="good")
    await studio.alice.slash(studio.channel, "inspect train", name="boards")
    await studio.alice.slash(studio.channel, "inspect add", name="boards", image=good(7))
    actor = Actor(studio.alice.id, studio.guild.id, studio.channel.id)
    [found] = await studio.bot.studio.projects.all(actor)
    item = await studio.bot.studio.labelling.next(actor, found.id)
    assert item is not None
    return found.id, item.sha256


def forged(project_id: str, sha256: str) -> list[ProjectButton]:
    """Every button that there is, each with what it may be about."""
    about = {"use": "1", "try": "1", "report": "1", "bundle": "1", "chart": "1-scores", "compare": "1-1"}
    about |= dict.fromkeys(("skip", "back", "leave"), sha256)
    about |= {name: "1" for name in LOOKS if "er" in name or "keep" in name or name in ("usual", "fewest")}
    # the one opens a window, and what is in it is asked later; the other shows the card in its own message
    names = [name for name in LOOKS if name not in ("newlabel", "done")]
    return [ProjectButton(project_id, name, about.get(name, "")) for name in names] + [
        ProjectButton(project_id, mark_of("good"), sha256)
    ]


@pytest.mark.parametrize("only_me", [True, False], ids=["somebody's own", "a server's"])
async def test_a_press_on_somebody_elses_project_changes_nothing(studio: Studio, only_me: bool) -> None:
    project_id, sha256 = await project(studio, only_me=only_me)
    buttons = forged(project_id, sha256)
    for some in (buttons[at : at + 20] for at in range(0, len(buttons), 20)):
        message = await posted(studio, *some)
        before = await state(studio)
        for button in some:
            result = await studio.bob.click(message, custom_id=button.item.custom_id)
            allowed = not only_me and button.action in USES
            said = told(result)
            refused = result.modal is None and any(one in said for one in NOT_THEIRS)
            assert refused != allowed, (button.action, said)
            assert await state(studio) == before, button.action
        await message.delete()
    menus = (
        ProjectMenu(project_id, "use", "", {"1": "1"}),
        ProjectMenu(project_id, MARK, sha256, {"good": "good"}),
    )
    message = await posted(studio, *menus)
    for menu, value in zip(menus, ("1", "good"), strict=True):
        result = await studio.bob.select(message, [value], custom_id=menu.item.custom_id)
        assert any(one in told(result) for one in NOT_THEIRS), told(result)
    assert await state(studio) == before


@pytest.mark.parametrize("only_me", [True, False], ids=["somebody's own", "a server's"])
async def test_commands_and_windows_with_its_id_change_nothing(studio: Studio, only_me: bool) -> None:
    project_id, sha256 = await project(studio, only_me=only_me)
    picture = await single(studio)
    before = await state(studio)
    for command, options in (*COMMANDS.items(), ("add", {})):  # the last one opens a window
        for name in {project_id, "boards"}:
            result = await studio.bob.slash(studio.channel, f"inspect {command}", name=name, **options)
            assert any(one in told(result) for one in NOT_THEIRS), (command, told(result))
            assert result.modal is None
    for what in (views.ADD, views.NAME):
        shown = await press_job(studio, picture, "remix", studio.bob)
        custom_id = f"mo:{what}:{project_id}:0:{sha256}"
        result = await studio.submit_as(studio.bob, shown, custom_id, {"prompt": "a boat"})
        assert any(one in told(result) for one in NOT_THEIRS), (what, told(result))
    assert await state(studio) == before


async def test_a_verdict_on_somebodys_own_project_is_theirs_alone(studio: Studio) -> None:
    await project(studio, only_me=True)
    refused = await studio.bob.slash(studio.channel, "inspect try", name="boards")
    assert refused.modal is None and any(one in told(refused) for one in NOT_THEIRS)
    result = await studio.alice.slash(studio.channel, "inspect try", name="boards", image=bad(1))
    job = next(one.split(":")[1] for one in ids_of(result.response) if one.startswith("at:"))
    picture = await single(studio)
    before = await state(studio)
    shown = await press_job(studio, picture, "remix", studio.bob)
    custom_id = f"mo:{views.WRONG}:{job}:0:"
    result = await studio.submit_as(studio.bob, shown, custom_id, {"prompt": "a boat"})
    assert "somebody else" in told(result)
    assert await state(studio) == before
