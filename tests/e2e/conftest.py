from pathlib import Path

import pytest

from tests.e2e.helios_process import Helios


@pytest.fixture
def helios(tmp_path: Path) -> Helios:
    return Helios(tmp_path / "home")
