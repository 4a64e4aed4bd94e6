"""The same laboratory as the engine's."""

from __future__ import annotations

from tests.server.engine.conftest import lab

__all__ = ["lab"]
