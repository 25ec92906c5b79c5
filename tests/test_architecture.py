"""The house: wings under a front, arrows that point one way, and no furniture from outside."""

import ast
import sys
from importlib.util import resolve_name
from pathlib import Path

import pytest

import sklearn_twolayer
from sklearn_twolayer import engine

PACKAGE = Path(sklearn_twolayer.__file__).parent
DOOR = engine.__name__
WINGS = ("bayes", "solvers", "model", "data")
"""Each may import those behind it, never one before it."""
FRONT = (
    "fitting",
    "pilot",
    "ambiguity",
    "left_out",
    "relevance",
    "held_out",
    "weighing",
    "parts",
    "averaging",
    "run",
    "wide",
    "raw_units",
    "constant_noise",
    "watching",
    "borrowing",
    "preparation",
    "plan",
    "preservation",
    "task",
    "recipe",
    "compatibility",
)
"""The same for the files before the wings, which import no front."""
NEVER = (("solvers", "bayes"), ("model", "solvers"), ("data", "model"))
"""The arrows that would be most tempting."""
LEAVES = ("settings", "numerics")
"""Anything in the engine may import these, and they import nothing of it."""
ABOVE = (
    ("__main__",),
    ("",),  # the package itself
    ("distributed",),
    ("distributed.estimators",),
    ("distributed.fitting", "distributed.prediction"),
    ("distributed.scores", "distributed.local", "distributed.table", "distributed.conversion"),
    ("distributed.lazy", "distributed.description", "distributed.levels", "distributed.rows"),
    (
        "distributed.facts",
        "distributed.given",
        "distributed.plain",
        "distributed.selection",
        "distributed.told",
    ),
    ("distributed.journal", "distributed.sketches", "distributed.partitions"),
    ("distributed.direct", "distributed.holders"),
    ("distributed.partition", "distributed.placement", "distributed.tree"),
    ("distributed.travel",),
    ("export",),
    ("export.converters",),
    ("export.onnx_model", "export.text"),
    ("export.onnx_outputs", "export.restoration"),
    ("export.onnx_posterior",),
    ("export.onnx_network",),
    ("export.onnx_rows",),
    ("export.description", "export.onnx_graph"),
    ("_classifier", "_regressor"),
    ("_base",),
    (
        "_fitted",
        "_inspection",
        "_intervals",
        "_members",
        "_quantities",
        "_table",
        "_validation_rows",
    ),
    ("displays",),
    (
        "displays.importance",
        "displays.interval_calibration",
        "displays.loss_curve",
        "displays.prediction_interval",
    ),
    ("displays.interval_artists",),
    ("displays.axes", "displays.tables", "displays.unwrapping"),
    ("displays.checking",),
    ("_columns",),
    ("_frames",),
    ("_parallel", "_monotonic"),
    ("_pickles",),
    (
        "_threads",
        "_class_weight",
        "_constraints",
        "_documentation",
        "_encoded_names",
        "_scoring",
        "_callbacks",
        "_validation",
        "_verbose",
        "_version",
    ),
)
"""What stands above the door, in rows: a file may import from the rows below its own."""
REQUIRED = ("numpy", "scipy", "sklearn", "joblib", "threadpoolctl", "sklearn_twolayer")
"""What may be imported anywhere; other packages are those of extras."""
ALSO = {"distributed": ("dask", "distributed")}
"""What may be imported in all of a folder, which nothing outside of it imports."""
FILES = sorted(PACKAGE.rglob("*.py"))
OF_THE_ENGINE = sorted((PACKAGE / "engine").rglob("*.py"))
LONGEST_FILE, LONGEST_FUNCTION = 300, 40
"""Lines of the engine that are read at a time; docstrings of functions do not count."""


def module_name(path):
    parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
    return ".".join(part for part in parts if part != "__init__")


MODULES = {module_name(path) for path in FILES}


def imported_modules(path):
    """What a file imports: modules of ours by their own names, others by their packages'."""
    package = ".".join(path.parent.relative_to(PACKAGE.parent).parts)
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            origin = resolve_name("." * node.level + (node.module or ""), package)
            for alias in node.names:
                member = f"{origin}.{alias.name}"
                through_the_door = origin == DOOR and alias.name in engine.__all__
                yield member if member in MODULES and not through_the_door else origin


def place(module):
    """Where in the engine a module stands: the wing, front or leaf."""
    return module.removeprefix(DOOR + ".").partition(".")[0]


def complaint(importer, imported):
    """What is wrong with an import and what to do about it, or nothing."""
    ours = imported.partition(".")[0] == "sklearn_twolayer"
    if not importer.startswith(DOOR):
        return _above_the_door(importer, imported) if ours else None
    if not ours:
        allowed = {"numpy", "scipy", *sys.stdlib_module_names}
        if imported.partition(".")[0] not in allowed:
            return "the engine may import NumPy, SciPy and the standard library: do this above it"
        return None
    if importer == DOOR:
        return None
    if not imported.startswith(DOOR + "."):
        return "the engine knows nothing above its door: pass the object as an argument"
    order = (*FRONT, *WINGS)
    here, there = place(importer), place(imported)
    if here in LEAVES:
        return "a leaf imports nothing of the engine"
    if there in LEAVES or (here in WINGS and there == here):
        return None
    if order.index(there) <= order.index(here):
        return (
            f"{here} may only import what stands behind it, {order[order.index(here) + 1 :]}: pass "
            "the object as an argument, or move what both need to where both may look"
        )
    return None


def _above_the_door(importer, imported):
    if imported.startswith(DOOR):
        if imported != DOOR:
            return f"use the door: import the name from {DOOR}, and add it to __all__ if need be"
        return None
    rows = {name: number for number, row in enumerate(ABOVE) for name in row}
    here, there = (
        m.removeprefix("sklearn_twolayer").removeprefix(".") for m in (importer, imported)
    )
    if rows[there] <= rows[here]:
        return "imports above the door point down the rows of ABOVE in this test"
    return None


@pytest.mark.parametrize("path", FILES, ids=module_name)
def test_imports_point_one_way(path):
    importer = module_name(path)
    for imported in imported_modules(path):
        wrong = complaint(importer, imported)
        assert not wrong, f"{importer} imports {imported}; {wrong}"


@pytest.mark.parametrize(
    ("importer", "imported"),
    [
        ("solvers.lbfgs", "bayes.search"),
        ("model.network", "solvers.objective"),
        ("data.rows", "model.parameters"),
        ("data.rows", "task"),
        ("task", "plan"),
        ("numerics", "settings"),
    ],
)
def test_what_is_forbidden_is_found(importer, imported):
    assert complaint(f"{DOOR}.{importer}", f"{DOOR}.{imported}")


@pytest.mark.parametrize("imported", ["sklearn.base", "threadpoolctl", "joblib"])
def test_other_libraries_stay_outside(imported):
    assert complaint(f"{DOOR}.data.rows", imported)


@pytest.mark.parametrize("path", FILES, ids=module_name)
def test_packages_of_extras_are_imported_inside_functions(path):
    allowed = {*REQUIRED, *sys.stdlib_module_names, *ALSO.get(path.parent.name, ())}
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.Import):
            packages = {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and not node.level:
            packages = {node.module.partition(".")[0]}
        else:
            continue
        assert packages <= allowed


@pytest.mark.parametrize("folder", ALSO)
def test_nothing_imports_a_folder_of_an_extra(folder):
    for path in FILES:
        if (PACKAGE / folder) not in path.parents:
            of_folder = f"sklearn_twolayer.{folder}"
            assert not any(m.startswith(of_folder) for m in imported_modules(path)), path


def test_every_file_has_its_place():
    """No ghosts: what this test names exists, and what exists is named here."""
    in_engine = {place(name) for name in MODULES if name.startswith(DOOR + ".")}
    assert in_engine == {*WINGS, *FRONT, *LEAVES}
    above = {name for name in MODULES if not name.startswith(DOOR)}
    named = {f"sklearn_twolayer.{name}".rstrip(".") for row in ABOVE for name in row}
    assert above == named


def test_wings_hold_files():
    folders = {path.parent for path in (PACKAGE / "engine").rglob("*.py")}
    assert folders == {PACKAGE / "engine", *(PACKAGE / "engine" / wing for wing in WINGS)}


def test_no_module_is_a_drawer():
    drawers = sorted(PACKAGE.rglob("util*.py"))
    assert not drawers, f"name {drawers} after the one thing it is about, or split it"


@pytest.mark.parametrize(("importer", "imported"), NEVER)
def test_no_arrow_points_back(importer, imported):
    of_wing = [path for path in OF_THE_ENGINE if path.parent.name == importer]
    targets = {place(m) for path in of_wing for m in imported_modules(path) if m.startswith(DOOR)}
    assert targets and imported not in targets
    assert complaint(f"{DOOR}.{importer}.a", f"{DOOR}.{imported}.b")


@pytest.mark.parametrize("path", OF_THE_ENGINE, ids=module_name)
def test_files_and_functions_are_short(path):
    text = path.read_text(encoding="utf-8")
    assert len(text.splitlines()) <= LONGEST_FILE
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef):
            assert n_lines(node) <= LONGEST_FUNCTION, node.name


def n_lines(function):
    n = function.end_lineno - function.lineno + 1
    first = function.body[0]
    if ast.get_docstring(function) is not None:
        n -= first.end_lineno - first.lineno + 1
    return n
