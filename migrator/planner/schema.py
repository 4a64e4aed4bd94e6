"""The plan file's JSON Schema, for editors: made from the types, descriptions included. Pure."""

from __future__ import annotations

import json

from migrator.planner.plan import Plan


def schema_text() -> str:
    """`plans/plan.schema.json`, as it must be for the types as they are."""
    schema = {"$schema": "https://json-schema.org/draft/2020-12/schema", **Plan.model_json_schema()}
    return json.dumps(schema, indent=2, ensure_ascii=False) + "\n"
