"""Projects as files: reads `helios.yaml` or says all that is wrong with it."""

from helios.services.projects.collisions import collision_warnings
from helios.services.projects.file_model import project_schema
from helios.services.projects.loading import load_project, parse_project
from helios.services.projects.problems import problem_to_json, render
from helios.services.projects.spec_json import digest, spec_from_json, spec_to_json
from helios.services.projects.template import template

__all__ = [
    "collision_warnings",
    "digest",
    "load_project",
    "parse_project",
    "problem_to_json",
    "project_schema",
    "render",
    "spec_from_json",
    "spec_to_json",
    "template",
]
