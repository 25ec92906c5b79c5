"""Export."""

from .text import from_json, to_json

__all__ = ["from_json", "to_json"]
