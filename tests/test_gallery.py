"""Examples of the gallery are pages: each compiles, has a title, tells a story and imports no
private name. The build of the site runs them."""

import ast
import re
from pathlib import Path

import pytest

EXAMPLES = sorted(Path(__file__).parent.parent.glob("docs/examples/plot_[0-9]*.py"))

pytestmark = pytest.mark.skipif(not EXAMPLES, reason="docs/ is not here")


@pytest.fixture(params=EXAMPLES, ids=lambda path: path.stem)
def example(request):
    return request.param.read_text(encoding="utf-8")


def tree_of(example):
    return compile(example, "example", "exec", flags=ast.PyCF_ONLY_AST)


def test_has_a_title_underlined_as_wide_as_it_is(example):
    title, line, *story = ast.get_docstring(tree_of(example)).splitlines()
    assert len(line) == len(title) > 10
    assert set(line) == {"="}
    assert len(" ".join(story).split()) > 10


def test_headings_are_underlined_as_wide_as_they_are(example):
    for heading, line in re.findall(r"^# (.+)\n# (-+)$", example, flags=re.MULTILINE):
        assert len(line) == len(heading)


def test_tells_in_cells_what_it_does_and_what_to_take_away(example):
    cells = re.split(r"^# %%$", example, flags=re.MULTILINE)
    assert len(cells) > 3
    assert "**Take away.**" in cells[-1]


def test_draws_or_prints(example):
    called = {ast.unparse(n.func) for n in ast.walk(tree_of(example)) if isinstance(n, ast.Call)}
    assert called & {"print", "plt.subplots", "plt.show"}


def test_uses_what_is_public(example):
    for node in ast.walk(tree_of(example)):
        names = []
        if isinstance(node, ast.ImportFrom):
            names = [*node.module.split("."), *(alias.name for alias in node.names)]
        elif isinstance(node, ast.Attribute):
            names = [node.attr]
        assert not [name for name in names if name.startswith("_")]
        assert "engine" not in names


def test_titles_differ():
    titles = [
        ast.get_docstring(tree_of(path.read_text("utf-8"))).splitlines()[0] for path in EXAMPLES
    ]
    assert len(set(titles)) == len(titles)
