"""Docstrings inherited from scikit-learn: what they refer to is in its documentation, not here."""

import re

REFERENCE = re.compile(r":ref:`([^<`]+?)\s*<[^>`]+>`")


def drop_references(app, what, name, obj, options, lines):
    """Leave the words of a reference, without the link."""
    if getattr(obj, "__module__", "").startswith("sklearn."):
        lines[:] = [REFERENCE.sub(r"\1", line) for line in lines]


def setup(app):
    """Register it with Sphinx, before numpydoc."""
    app.connect("autodoc-process-docstring", drop_references, priority=100)
    return {"parallel_read_safe": True}
