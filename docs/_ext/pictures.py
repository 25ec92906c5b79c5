"""Draws the pictures of the guide: each script in ``docs/pictures`` writes ``_pictures/NAME.svg``.

A script is given the file to write. It runs in a process of its own, on one BLAS thread and with
warnings as errors, and again only when it is newer than its picture.
"""

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from sphinx.errors import ExtensionError
from sphinx.util import logging

SHARED = "style"
AT_A_TIME = 2


def draw_all(app):
    """Draw those that are missing or old."""
    scripts = Path(app.srcdir, "pictures")
    pictures = Path(app.srcdir, "_pictures")
    pictures.mkdir(exist_ok=True)
    wanted = [
        (script, pictures / f"{script.stem}.svg")
        for script in sorted(scripts.glob("*.py"))
        if script.stem != SHARED
    ]
    with ThreadPoolExecutor(AT_A_TIME) as pool:
        for _ in pool.map(_draw, *zip(*[each for each in wanted if _is_old(*each)], strict=True)):
            pass


def _is_old(script, picture):
    return not picture.exists() or picture.stat().st_mtime < script.stat().st_mtime


def _draw(script, picture):
    logging.getLogger(__name__).info("drawing %s", picture.name)
    environment = os.environ | {"MPLBACKEND": "svg", "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-W", "error", str(script), str(picture)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise ExtensionError(f"{script.name} has drawn nothing:\n{done.stderr}")


def setup(app):
    """Register it with Sphinx."""
    app.connect("builder-inited", draw_all)
    return {"parallel_read_safe": True}
