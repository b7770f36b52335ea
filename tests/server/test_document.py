"""The document that describes the API: committed, true, and readable at /docs and /redoc."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.e2e.helios_process import ROOT
from tests.server.faces import Face

COMMITTED = ROOT / "docs" / "openapi.json"


def test_the_committed_document_is_what_the_app_says(face: Face) -> None:
    """`python -m tests.server.write_document` writes it anew."""
    told = face.client.get("/openapi.json").json()
    assert told == json.loads(COMMITTED.read_text("utf-8"))


def test_the_document_is_whole(face: Face) -> None:
    told = face.client.get("/openapi.json").json()
    assert told["openapi"].startswith("3.1")
    for path, methods in told["paths"].items():
        for method, operation in methods.items():
            place = f"{method} {path}"
            assert operation["description"], place
            problem = operation["responses"]["default"]["content"]["application/problem+json"]
            assert problem["schema"]["$ref"] == "#/components/schemas/Problem", place
            assert "422" not in operation["responses"], place
    text = json.dumps(told)
    named = {part.split('"')[0] for part in text.split("#/components/schemas/")[1:]}
    assert named <= set(told["components"]["schemas"])


def test_the_page_lists_every_endpoint(face: Face) -> None:
    page = (ROOT / "docs" / "http-api.md").read_text("utf-8")
    for path, methods in face.client.get("/openapi.json").json()["paths"].items():
        short = path.removeprefix("/api/v1/helios/budget/")
        for method in methods:
            assert f"| `{method.upper()} {short}` |" in page, f"{method} {path}"


@pytest.mark.parametrize("path", ["/docs", "/redoc"])
def test_the_reference_is_served(face: Face, path: str) -> None:
    answer = face.client.get(path)
    assert answer.status_code == 200
    assert "/openapi.json" in answer.text


@pytest.mark.slow
def test_generated_requests_find_no_hole(fresh: Face, tmp_path: Path) -> None:
    """Every endpoint, with requests that fit the document and such that do not.

    Left out: that whatever fits the document is accepted, since rules between fields are not in it.
    """
    schemathesis = shutil.which("schemathesis", path=str(Path(sys.executable).parent))
    if schemathesis is None:
        pytest.skip("schemathesis is not installed")
    words = f"""run {fresh.url}/openapi.json --phases examples,coverage,fuzzing --max-examples 10
        --seed 1 --no-shrink --no-color --continue-on-failure
        --exclude-checks positive_data_acceptance"""
    result = subprocess.run(
        [schemathesis, *words.split()],
        cwd=tmp_path, check=False, capture_output=True, text=True, timeout=300,
    )  # fmt: skip
    assert result.returncode == 0, result.stdout[-8000:] + result.stderr[-2000:]
    assert "Tested: 15" in result.stdout
