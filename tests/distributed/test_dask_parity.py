"""Fits in Dask find what plain fits find: the same sums, so the same weights, to round-off.

Round-off grows along the way of L-BFGS: how far after so many iterations is what one unit in the
last place of X does to a plain fit. So fits are compared after a fixed number of iterations, and
values and gradients at the same weights.
"""

from functools import partial
from itertools import product

import numpy as np
import pytest
from numpy.testing import assert_allclose
from parity import (
    FIXED,
    LOSSES,
    SOLVERS,
    TARGETS,
    WITHOUT_EVIDENCE,
    assert_same,
    assert_same_fit,
    collections,
    in_dask,
    targets,
    weights,
)
from partitioned_tables import CUTS, N_ROWS, X_OF_KINDS, array, frame
from partitions_here import partitions_here
from sklearn.datasets import load_diabetes, load_iris

from kinds import IGNORE_CONVERGENCE
from sklearn_twolayer import TwoLayerClassifier, TwoLayerRegressor, engine
from sklearn_twolayer.engine.bayes.evidence import relevance_prior
from sklearn_twolayer.engine.bayes.reestimation import EvidenceObjective
from sklearn_twolayer.engine.model.gauss_newton import curvature
from sklearn_twolayer.engine.preparation import prepare
from sklearn_twolayer.engine.solvers.objective import Objective

pytestmark = IGNORE_CONVERGENCE
ENCODINGS = {"linear": {}, "piecewise_linear": {"n_knots": 3}}
UNEVEN = CUTS["17 uneven, two empty"]

every_cut = pytest.mark.parametrize("cuts", CUTS.values(), ids=CUTS)
every_solver = pytest.mark.parametrize("solver", SOLVERS)
every_target = pytest.mark.parametrize("target", TARGETS)
every_encoding = pytest.mark.parametrize("encoding", ENCODINGS)
every_X = pytest.mark.parametrize("kind", X_OF_KINDS)


@pytest.fixture(autouse=True)
def here(monkeypatch):
    partitions_here(monkeypatch)


def both(plain, cuts, X, y, w=None):
    """A fit in Dask, and a plain one."""
    return in_dask(plain).fit(*collections(cuts, X, y, w)), plain.fit(X, y, w)


def check(plain, cuts, X, y, w=None, rtol=1e-8):
    assert_same_fit(*both(plain, cuts, X, y, w), X, rtol)


def training(estimator, *rows):
    """The plan of a fit, and its rows, scaled."""
    estimator._tables, estimator._journal = [], None
    plan = engine.make_plan(estimator._task(*rows, None))
    return plan, prepare(plan)


every_loss = pytest.mark.parametrize(
    ("solver", "loss"), [*product(SOLVERS, LOSSES), *product(["given alpha"], WITHOUT_EVIDENCE)]
)


def settings_of(solver, loss):
    return {**SOLVERS[solver], **(LOSSES | WITHOUT_EVIDENCE)[loss]}


def check_sums(plain, cuts, X, y, w, rng):
    """Losses, gradients, curvature and Kronecker factors at some weights."""
    (plan, ours), (_, theirs) = (
        training(in_dask(plain), *collections(cuts, X, y, w)),
        training(plain, X, y, w),
    )
    theta = (0.5 * rng.randn(plan.shape.size)).astype(plan.settings.dtype)
    rtol = 1e-12 if theta.dtype == np.float64 else 1e-5
    network = plan.network()
    kernels = [network.loss_sum, network.loss_gradient, partial(curvature, network)]
    kernels += [network.residual_sums] if network.has_own_residuals else []
    for kernel in kernels:
        found, expected = (each.rows.reduce(kernel, theta) for each in (ours, theirs))
        assert_same([np.asarray(f) for f in found], [np.asarray(e) for e in expected], rtol)
    if network.loss.has_curvature:
        assert_same(*(_factors(network, each.rows, theta) for each in (ours, theirs)), rtol)
    for name in ("mean", "deviation"):
        assert_same(getattr(ours.scaling.X, name), getattr(theirs.scaling.X, name), 1e-13)
    assert_allclose(ours.rows.sum_weights, theirs.rows.sum_weights, rtol=1e-14)


def _factors(network, rows, theta):
    prior = relevance_prior(network.shape, np.ones(network.shape.n_groups))
    objective = EvidenceObjective(Objective(network, rows, 1.0), prior, None, np.random)
    return {**objective.laplace(theta).factors.means(), "beta": objective.beta}


@pytest.mark.sampled(7)
@every_cut
@every_X
@every_target
@every_encoding
@pytest.mark.parametrize("solver", ["given alpha", "exact evidence"])
def test_sums_at_the_same_weights(cuts, kind, target, encoding, solver, rng):
    X, y, w = X_OF_KINDS[kind](rng), targets(target, rng), weights(rng)
    options = {**SOLVERS[solver], "encoding": encoding, **ENCODINGS[encoding]}
    check_sums(TARGETS[target](3, **options), cuts, X, y, w, rng)


@every_loss
def test_sums_of_losses_at_the_same_weights(solver, loss, rng):
    X, y, w = array(rng), targets("one target", rng), weights(rng)
    check_sums(TwoLayerRegressor(3, **settings_of(solver, loss)), UNEVEN, X, y, w, rng)


@pytest.mark.sampled(11)
@every_cut
@every_X
@every_target
@every_encoding
@every_solver
@pytest.mark.parametrize("with_weights", [True, False], ids=["weighted", "unweighted"])
def test_fits(cuts, kind, target, encoding, solver, with_weights, rng):
    X, y, w = X_OF_KINDS[kind](rng), targets(target, rng), weights(rng)
    options = {**SOLVERS[solver], "encoding": encoding, **ENCODINGS[encoding]}
    # columns of small steps part walks sooner
    rtol = 1e-7 if encoding == "piecewise_linear" else 1e-8
    if kind == "float32":
        # walks of L-BFGS part sooner, and curvature is in double precision
        rtol = 1e-4
        options["max_iter"] = 5
    check(TARGETS[target](3, **options), cuts, X, y, w if with_weights else None, rtol)


@pytest.mark.sampled(5)
@every_cut
@every_loss
def test_fits_of_losses(cuts, solver, loss, rng):
    X, y, w = frame(rng), targets("one target", rng), weights(rng)
    options = {**settings_of(solver, loss), "max_iter": 8 if "lm" in solver else 25}
    check(TwoLayerRegressor(3, **options), cuts, X, y, w)


BUNDLED = {
    "diabetes": (TwoLayerRegressor, load_diabetes(return_X_y=True)),
    "iris": (TwoLayerClassifier, load_iris(return_X_y=True)),
}


@every_solver
@pytest.mark.parametrize("name", BUNDLED)
def test_real_tables(name, solver):
    estimator, (X, y) = BUNDLED[name]
    check(estimator(5, **SOLVERS[solver]), [50, 50, 120], X, y)


SETTINGS = {
    "raw columns": {"standardize": False, "max_iter": 15},
    "raw columns with missing values": {"standardize": False, "max_iter": 15, "missing": True},
    "a skip path": {"skip": True},
    "no posterior": {"store_posterior": False},
    "starts": {"n_init": 2},
    "members": {"n_members": 2},
    "weights that are zero": {"alpha": 1.0, "l1_ratio": 0.5},
    "usual knots": {"encoding": "piecewise_linear"},
    "single precision": {"dtype": "float32", "max_iter": 4},
    "another activation": {"activation": "gelu", "initializer": "he_normal"},
    "precisions": {"alpha": np.array([1.0, 0.1, 2.0, 1.0, 1.0])},
}


@pytest.mark.parametrize("name", SETTINGS)
def test_settings(name, rng):
    options = {**SOLVERS["evidence"], "max_iter": 25, **SETTINGS[name]}
    X, y, w = array(rng), targets("one target", rng), weights(rng)
    if options.pop("missing", False):
        X[::7, 1] = np.nan
    rtol = 1e-4 if "dtype" in options else 1e-8
    check(TwoLayerRegressor(3, **options), UNEVEN, X, y, w, rtol)


@pytest.mark.parametrize("class_weight", ["balanced", {"no": 2.0, "yes": 0.0, "perhaps": 0.5}])
@pytest.mark.parametrize("solver", ["given alpha", "exact evidence"])
def test_weights_of_classes(class_weight, solver, rng):
    X, y, w = frame(rng), targets("classes", rng), weights(rng)
    plain = TwoLayerClassifier(3, class_weight=class_weight, **SOLVERS[solver])
    check(plain, UNEVEN, X, y, w)


def test_a_level_of_one_row(rng):
    """It is met in one partition alone."""
    X, y = frame(rng), targets("one target", rng)
    levels = X["text"].value_counts()
    assert levels["Aachen"] == 1
    found, expected = both(TwoLayerRegressor(3, **SOLVERS["evidence"]), UNEVEN, X, y)
    number = list(X.columns[expected.is_categorical_]).index("text")
    assert "Aachen" in found.categories_[number]
    assert_same_fit(found, expected, X)


def test_rows_by_the_thousand(rng):
    """Of which the evidence asks some, the same ones as in a plain fit."""
    n_rows = 10_050
    X, y = rng.randn(n_rows, 3), targets("one target", rng, n_rows)
    w = weights(rng, n_rows) + 1
    cuts = np.sort(rng.randint(n_rows, size=16)).tolist()
    plain = TwoLayerRegressor(4, solver="lbfgs", max_iter=45, **FIXED)
    found, expected = both(plain, [*cuts[:8], cuts[8], *cuts[8:]], X, y, w)
    assert_same_fit(found, expected, X, but=["feature_importances_"])
    # by the same number of rows, but not by the same rows
    assert_allclose(found.feature_importances_, expected.feature_importances_, atol=0.05)


LONG = {"solver": "lbfgs", "alpha": 1.0, "max_iter": 150, **FIXED}


@pytest.mark.parametrize("target", ["one target", "classes"])
def test_a_long_walk_ends_at_the_same_loss(target, rng):
    X, y, w = array(rng), targets(target, rng), weights(rng)
    found, expected = both(TARGETS[target](5, **LONG), UNEVEN, X, y, w)
    assert found.n_iter_ == expected.n_iter_ == 150
    assert_allclose(found.loss_, expected.loss_, rtol=1e-6)


@every_solver
def test_weights_are_copies_in_other_partitions(solver, rng):
    X, y, w = array(rng), targets("one target", rng), weights(rng)
    copies = rng.permutation(np.repeat(np.arange(N_ROWS), w.astype(int)))
    plain = TwoLayerRegressor(3, **SOLVERS[solver])
    found = in_dask(plain).fit(*collections([10, 90, 90, 180], X[copies], y[copies]))
    assert_same_fit(found, plain.fit(X, y, w), X, but=["t_"])  # which counts copies


@every_solver
def test_a_repartitioned_collection(solver, rng):
    X, y, w = collections([], array(rng), targets("one target", rng), weights(rng))
    model = in_dask(TwoLayerRegressor(3, **SOLVERS[solver]))
    once = model.fit(X, y, w).to_local()
    chunks = collections(UNEVEN, y.compute())[0].chunks
    many = model.fit(X.rechunk({0: chunks[0]}), y.rechunk(chunks), w.rechunk(chunks))
    assert_same_fit(many.to_local(), once, X.compute())


def test_rows_are_counted_as_they_come(rng):
    """Also where equal ones of a partition have become one."""
    X, y = (np.repeat(part, 2, axis=0)[:80] for part in (array(rng), targets("one target", rng)))
    found, expected = both(TwoLayerRegressor(3, **SOLVERS["given alpha"]), [30, 31], X, y)
    assert expected.t_ == 80 * expected.n_iter_
    assert_same_fit(found, expected, X)
