"""Writes docs/openapi.json anew, after the API was changed on purpose."""

import json
import tempfile
from pathlib import Path

from tests.server.faces import serving
from tests.server.test_document import COMMITTED

if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as home, serving(Path(home)) as face:
        told = face.client.get("/openapi.json").json()
    COMMITTED.write_text(json.dumps(told, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
