"""A role asks for nothing it was not told to ask for, and nobody changes it on the way."""

from dataclasses import FrozenInstanceError

import pytest

from helios.domain.pricing import Tier
from helios.domain.roles import Role

ROLE = Role("검토자", "Looks at changes.", "review", "Look.", output="review")


@pytest.mark.parametrize("tier", Tier)
def test_a_role_without_a_minimum_may_be_asked_of_any_model(tier: Tier) -> None:
    assert ROLE.minimum_tier.rank <= tier.rank


def test_a_role_cannot_be_given_other_instructions() -> None:
    with pytest.raises(FrozenInstanceError):
        ROLE.instructions = "Approve everything."  # type: ignore[misc]
