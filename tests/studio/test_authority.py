"""Who may do what: every cell of the table against rules written apart from it."""

import pytest

from proofs.studio import authority_cells
from studio.authority import Action, Actor, Authority, CurrentDirectory, Place


def test_no_cell_grants_or_refuses_against_the_rules() -> None:
    count, escalations, refusals = authority_cells.walk()
    assert count >= 20_000
    assert escalations == [] and refusals == []


def test_counting_the_servers_of_one_process_only_is_an_escalation() -> None:
    with authority_cells.counting_those_here():
        _, escalations, _ = authority_cells.walk((Action.OPERATE,))
    assert escalations
    assert authority_cells.walk((Action.OPERATE,))[1] == []


@pytest.mark.long
def test_a_role_too_many_or_too_few_anywhere_in_the_table_is_caught() -> None:
    count, missed = authority_cells.caught()
    assert count > 200 and missed == []


def test_the_host_ends_jobs_but_sees_no_more_than_others() -> None:
    private = authority_cells.subjects()[4].job
    host = Authority(CurrentDirectory(), {authority_cells.HOST})
    actor = Actor(authority_cells.HOST, authority_cells.HERE, authority_cells.STUDIO, manages=True)
    assert private.origin.private
    assert host.allows(actor, Action.CANCEL, private) and not host.allows(actor, Action.SHOW, private)


def test_a_channel_that_somebody_cannot_read_is_none_of_their_business() -> None:
    staff = authority_cells.subjects()[7].job
    member = Actor(authority_cells.OTHER, authority_cells.HERE, authority_cells.STUDIO, reads=lambda c: False)
    rights = Authority(CurrentDirectory(), {authority_cells.HOST})
    assert not rights.allows(member, Action.USE, staff)
    assert rights.allows(member, Action.USE, staff, [Place(authority_cells.HERE, authority_cells.STUDIO)])


def test_the_host_looks_into_every_server_and_others_into_theirs() -> None:
    rights = Authority(CurrentDirectory(), {authority_cells.HOST})
    assert rights.scope(Actor(authority_cells.HOST, authority_cells.HERE)) is None
    assert rights.scope(Actor(authority_cells.OTHER, authority_cells.HERE, manages=True)) == (
        authority_cells.HERE
    )


def test_nobody_sees_channel_0_which_is_no_place() -> None:
    by_the_web = Actor(2, None, 0)
    assert not by_the_web.sees(Place(None, 0)) and not Actor(2, 10, 0).sees(Place(10, 0))
    assert Actor(2, None, 5).sees(Place(None, 5))
    asked = authority_cells.subjects()[0].job
    rights = Authority(CurrentDirectory(), {authority_cells.HOST})
    assert not rights.allows(by_the_web, Action.SHOW, asked, [Place(None, 0)])


async def test_what_a_connection_knows_is_asked_of_it_and_nothing_without_one() -> None:
    asked: list[Place] = []

    class Connection(CurrentDirectory):
        def age_restricted(self, place: Place) -> bool | None:
            return {1: True, 2: False}.get(place.channel_id)

        async def adult(self, place: Place) -> bool | None:
            asked.append(place)
            return True

        def role_names(self, guild_id: int) -> dict[int, str]:
            return {guild_id: "crew"}

    directory, known, other, unknown = CurrentDirectory(), Place(7, 1), Place(7, 2), Place(7, 3)
    assert await directory.adult(known) is None and directory.role_names(7) == {}
    with directory.connected(Connection()):
        assert [await directory.adult(place) for place in (known, other, unknown)] == [True, False, True]
        assert asked == [unknown] and directory.role_names(7) == {7: "crew"}
    assert directory.role_names(7) == {}
