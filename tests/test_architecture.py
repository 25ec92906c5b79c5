"""Imports point strictly downwards, and the engine knows nothing but NumPy and SciPy."""

import ast
import sys
from importlib.util import resolve_name
from pathlib import Path

import pytest

import sklearn_twolayer
from sklearn_twolayer import engine

# from the bottom to the top; "." is the package itself
LAYERS = (
    "engine.numerics engine.settings",
    "engine.activations engine.losses engine.parameters engine.schedules engine.optimizers",
    "engine.callbacks engine.solution engine.gradient_check",
    "engine.initializers engine.scaling",
    "engine.inputs engine.folding",
    "engine.folded",
    "engine.sources engine.task",
    "engine.rows engine.network",
    "engine.curvature engine.moderation engine.sensitivity",
    "engine.posterior",
    "engine.objective",
    "engine.lbfgs engine.stochastic engine.gauss_newton",
    "engine.solvers engine.evidence",
    "engine.search",
    "engine.averaging",
    "engine.choices engine.bayesian",
    "engine.fit",
    "engine",
    "_threads _class_weight _constraints _validation _verbose _callbacks distributed displays",
    "_inspection",
    "_base",
    "_classifier _regressor",
    ".",
    "__main__",
)
PACKAGE = Path(sklearn_twolayer.__file__).parent
DOOR = engine.__name__
LEVEL = {
    f"sklearn_twolayer.{name}".rstrip("."): level
    for level, layer in enumerate(LAYERS)
    for name in layer.split()
}


def module_name(path):
    parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
    return ".".join(part for part in parts if part != "__init__")


def imported_modules(path):
    package = ".".join(path.parent.relative_to(PACKAGE.parent).parts)
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            origin = resolve_name("." * node.level + (node.module or ""), package)
            for alias in node.names:
                member = f"{origin}.{alias.name}"
                through_the_door = origin == DOOR and alias.name in engine.__all__
                yield member if member in LEVEL and not through_the_door else origin


def complaint(importer, imported):
    """What is wrong with an import and what to do about it, or nothing."""
    inside = importer.startswith(DOOR)
    if imported.partition(".")[0] != "sklearn_twolayer":
        allowed = {"numpy", "scipy", *sys.stdlib_module_names}
        if inside and imported.partition(".")[0] not in allowed:
            return "the engine may import NumPy, SciPy and the standard library: do this above it"
    elif imported.startswith(f"{DOOR}.") and not inside:
        return f"use the door: import the name from {DOOR}, and add it to __all__ there if need be"
    elif imported not in LEVEL:
        return "add the imported module to LAYERS in this test, below everything that imports it"
    elif LEVEL[imported] >= LEVEL[importer]:
        return (
            "imports must point down LAYERS in this test: pass the object as an argument, "
            "or move what both need into a module below both"
        )


@pytest.mark.parametrize("path", sorted(PACKAGE.rglob("*.py")), ids=module_name)
def test_imports_point_strictly_downwards(path):
    importer = module_name(path)
    assert importer in LEVEL, (
        f"add {importer} to LAYERS in this test, above everything it imports "
        "and below everything that imports it"
    )
    for imported in imported_modules(path):
        wrong = complaint(importer, imported)
        assert not wrong, f"{importer} imports {imported}; {wrong}"


def test_the_engine_is_flat():
    folders = {path.parent for path in (PACKAGE / "engine").rglob("*.py")}
    assert folders == {PACKAGE / "engine"}, "move the files of the sub-package into engine/"


def test_no_module_is_a_drawer():
    drawers = sorted(PACKAGE.rglob("util*.py"))
    assert not drawers, f"name {drawers} after the one thing it is about, or split it"
