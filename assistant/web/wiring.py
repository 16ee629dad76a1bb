"""How both pages tie Gradio's components together."""

from typing import Any

QUIET: dict[str, Any] = {"api_visibility": "private", "show_progress": "hidden", "concurrency_limit": None}
"""How every event is wired: no named endpoint, no spinner over what is read, no queueing behind others."""
LIVE = '<div id="{id}" role="status" aria-live="polite">${{value}}</div>'
"""Template of a line that is read aloud when it changes."""
READ_WORDS = "window.assistantWords?.(); watch('value', () => window.assistantWords?.());"
"""The page's head says its language; the page's script takes it from there."""
