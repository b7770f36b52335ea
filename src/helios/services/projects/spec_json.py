"""A project as JSON text and back: how it is kept with its runs."""

import hashlib
import json

from pydantic import TypeAdapter, ValidationError

from helios.domain.workflow.spec import ProjectSpec
from helios.errors import StoreError

_ADAPTER = TypeAdapter(ProjectSpec)


def spec_to_json(spec: ProjectSpec) -> str:
    """The project as canonical JSON: keys sorted, no spaces, one text for equal projects."""
    # Read back once, so that a 600 where a float belongs is written like 600.0.
    exact = _ADAPTER.validate_python(_ADAPTER.dump_python(spec))
    data = _ADAPTER.dump_python(exact, mode="json")
    return json.dumps(
        data, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False
    )


def spec_from_json(text: str) -> ProjectSpec:
    """The project of such a text, equal to the one it was made of.

    Raises:
        StoreError: the text is no project.
    """
    try:
        return _ADAPTER.validate_json(text)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(str(step) for step in first["loc"]) or "the text"
        raise StoreError(
            f"the stored project cannot be read: {where}: {first['msg']}",
            next_step="It was written by another version of Helios, or the database is damaged.",
        ) from None


def digest(spec: ProjectSpec) -> str:
    """SHA-256 of the canonical JSON: equal projects have equal digests."""
    return hashlib.sha256(spec_to_json(spec).encode()).hexdigest()
