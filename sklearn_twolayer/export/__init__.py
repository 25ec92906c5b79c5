"""Export."""

from .converters import register
from .onnx_model import to_onnx
from .text import from_json, to_json

__all__ = ["from_json", "register", "to_json", "to_onnx"]
