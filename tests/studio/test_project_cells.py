"""Who may do what with projects: every cell of the table against rules written apart from it."""

from proofs.studio import project_cells


def test_no_cell_grants_or_refuses_against_the_rules() -> None:
    count, escalations, refusals = project_cells.walk()
    assert count >= 60_000
    assert escalations == [] and refusals == []


def test_a_role_or_a_right_too_many_or_too_few_is_caught() -> None:
    count, missed = project_cells.caught()
    assert count >= 100 and missed == []
