"""Files and functions that can be read in one go."""

import ast
from pathlib import Path

import pytest

import sklearn_twolayer

PACKAGE = Path(sklearn_twolayer.__file__).parent
FILES = sorted(PACKAGE.rglob("*.py"))
MOST_LINES, MOST_LINES_OF_A_FUNCTION = 300, 40


def name(path):
    return str(path.relative_to(PACKAGE))


@pytest.mark.parametrize("path", sorted((PACKAGE / "engine").rglob("*.py")), ids=name)
def test_a_file_of_the_engine_is_one_idea(path):
    n_lines = len(path.read_text(encoding="utf-8").splitlines())
    assert n_lines <= MOST_LINES, "split it where its ideas part"


def functions(path):
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)]


def lines_of_code(function):
    """Lines without the docstring."""
    docstring = function.body[0] if ast.get_docstring(function) is not None else None
    of_docstring = docstring.end_lineno - docstring.lineno + 1 if docstring else 0
    return function.end_lineno - function.lineno + 1 - of_docstring


@pytest.mark.parametrize("path", FILES, ids=name)
def test_a_function_does_one_thing(path):
    long = {
        function.name: lines_of_code(function)
        for function in functions(path)
        # constructors of estimators list every parameter
        if function.name != "__init__" and lines_of_code(function) > MOST_LINES_OF_A_FUNCTION
    }
    assert not long, "give the parts of these functions names of their own"
