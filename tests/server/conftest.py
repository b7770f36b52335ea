from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.server.faces import Face, serving


@pytest.fixture(scope="module")
def face(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Face]:
    """A server for the tests of a module, which use names of their own."""
    with serving(tmp_path_factory.mktemp("집")) as face:
        yield face


@pytest.fixture
def fresh(tmp_path: Path) -> Iterator[Face]:
    """A server with empty books."""
    with serving(tmp_path / "집") as face:
        yield face
