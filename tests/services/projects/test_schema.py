"""The JSON Schema for editors: every key, described, nothing else allowed."""

from typing import Any

from helios.services.projects import project_schema
from helios.services.projects.file_model import ProjectFile, TaskFile


def models() -> list[dict[str, Any]]:
    schema = project_schema()
    return [schema, *schema["$defs"].values()]


def test_every_key_has_a_description() -> None:
    for model in models():
        for key, about in model["properties"].items():
            assert about.get("description") or "$ref" in about, key
        assert model["description"]


def test_unknown_keys_are_forbidden_everywhere() -> None:
    assert all(model["additionalProperties"] is False for model in models())


def test_it_has_the_keys_of_the_file() -> None:
    schema = project_schema()
    assert schema["required"] == ["helios", "name", "tasks"]
    assert set(schema["properties"]) == set(ProjectFile.model_fields)
    assert set(schema["$defs"]["TaskFile"]["properties"]) == set(TaskFile.model_fields)
    assert set(schema["$defs"]["ModelsFile"]["properties"]) == {
        "economy",
        "standard",
        "strong",
        "frontier",
    }


def test_it_says_what_one_key_can_be() -> None:
    task = project_schema()["$defs"]["TaskFile"]
    assert [kind["required"] for kind in task["oneOf"]] == [["agent"], ["run"], ["action"]]
    keys = task["properties"]
    assert keys["priority"] == {
        "default": 5,
        "description": keys["priority"]["description"],
        "maximum": 10,
        "minimum": 1,
        "title": "Priority",
        "type": "integer",
    }
    assert [kind["type"] for kind in keys["needs"]["anyOf"]] == ["string", "array"]
    assert [kind["type"] for kind in keys["timeout"]["anyOf"]] == ["number", "string"]
    assert keys["action"]["enum"] == ["analyse", "merge", "report"]


def test_no_default_stands_for_not_set() -> None:
    for model in models():
        for about in model["properties"].values():
            default = about.get("default", "none")
            assert default
            assert isinstance(default, int | float | str)
    assert "default" not in project_schema()["$defs"]["TaskFile"]["properties"]["action"]
