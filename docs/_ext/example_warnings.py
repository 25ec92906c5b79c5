"""Warnings are errors in the examples of the gallery, and nowhere else in the build."""

import warnings

_open = []


def raise_them(gallery_conf, fname, when):
    """What Sphinx-Gallery calls before and after each example."""
    if when == "before":
        _open.append(warnings.catch_warnings(action="error"))
        _open[-1].__enter__()
    elif _open:
        _open.pop().__exit__(None, None, None)
