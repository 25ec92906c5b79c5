import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse

import training
from kinds import losses_and_activations
from sklearn_twolayer import TwoLayerClassifier, TwoLayerRegressor, engine
from sklearn_twolayer.engine.data.rows import ArrayRows
from sklearn_twolayer.engine.model.activations import ACTIVATIONS
from sklearn_twolayer.engine.model.losses import LOSSES
from sklearn_twolayer.engine.model.network import Network
from sklearn_twolayer.engine.model.parameters import Shape
from sklearn_twolayer.engine.solvers import levenberg_marquardt
from sklearn_twolayer.engine.solvers.levenberg_marquardt import (
    FIRST_DAMPING,
    LEAST_DAMPING,
    Dual,
    Point,
    Primal,
    SmallerSystem,
    Target,
    advance,
    check_size,
)

N_FEATURES, N_HIDDEN = 4, 5

CURVED = [name for name, loss in LOSSES.items() if loss.has_curvature]
every_loss = pytest.mark.parametrize("loss", CURVED)
every_number = pytest.mark.parametrize("n_outputs", [1, 3])
either_skip = pytest.mark.parametrize("skip", [False, True], ids=["no skip", "skip"])


@pytest.fixture
def build(rng, draw_targets):
    def build(loss, n_outputs, skip=False, n_rows=8, storage=np.asarray, activation="tanh"):
        shape = Shape(N_FEATURES, N_HIDDEN, n_outputs, skip)
        X, Y = rng.randn(n_rows, N_FEATURES), draw_targets(LOSSES[loss], n_rows, n_outputs)
        network = Network(shape, ACTIVATIONS[activation], LOSSES[loss])
        precision = np.zeros(shape.size)
        for strength, stretch in zip((0.7, 0.2, 0.1), shape.penalized(precision), strict=False):
            stretch += strength
        rows = ArrayRows(storage(X), Y, 0.5 + rng.rand(n_rows))
        return SmallerSystem(network, rows, precision), rng.randn(shape.size)

    return build


def primal(target, theta):
    """The point whose system has an unknown for each parameter, whatever the number of rows."""
    point = Target(target.network, target.rows, target.precision).expand(theta)
    assert isinstance(point.equations, Primal)
    return point


@every_loss
@every_number
@either_skip
@pytest.mark.parametrize("damping", [1e-6, 1e-2, 10])
@pytest.mark.parametrize("storage", [np.asarray, sparse.csr_array])
def test_both_forms_take_the_same_step(loss, n_outputs, skip, damping, storage, build):
    target, theta = build(loss, n_outputs, skip, storage=storage)
    point = target.expand(theta)
    assert isinstance(point.equations, Dual)
    expected = primal(target, theta)
    assert_allclose(point.value, expected.value, rtol=1e-12)
    assert_allclose(point.gradient, expected.gradient, rtol=1e-9, atol=1e-12)
    step = point.equations.step(damping)
    expected_step = expected.equations.step(damping)
    assert np.linalg.norm(step - expected_step) <= 1e-8 * np.linalg.norm(expected_step)


@every_loss
@every_number
@either_skip
@pytest.mark.parametrize("n_rows", [8, 60], ids=["dual", "primal"])
def test_a_step_solves_the_damped_system(loss, n_outputs, skip, n_rows, build):
    target, theta = build(loss, n_outputs, skip, n_rows)
    reference, point = primal(target, theta), target.expand(theta)
    step = point.equations.step(0.01)
    A = reference.equations.H + np.diag(target.precision + 0.01)
    assert_allclose(A @ step, -reference.gradient, rtol=1e-8, atol=1e-9)


@every_loss
@every_number
@either_skip
def test_value_and_gradient_are_those_of_the_sum(loss, n_outputs, skip, build):
    target, theta = build(loss, n_outputs, skip)
    point = target.expand(theta)
    assert_allclose(point.value, target.value(theta), rtol=1e-12)
    expected = engine.numerical_gradient(
        lambda at: (target.value(at), None), theta, 1e-5, scheme="central"
    )
    assert_allclose(point.gradient, expected, rtol=1e-6, atol=1e-6)


def test_a_prior_that_tells_hidden_units_apart_is_solved_for_all_parameters(build):
    target, theta = build("squared_error", 1)
    target.precision[0] = 3
    point = target.expand(theta)
    assert isinstance(point.equations, Primal)
    A = point.equations.H + np.diag(target.precision + 0.1)
    assert_allclose(A @ point.equations.step(0.1), -point.gradient, rtol=1e-9, atol=1e-9)


@pytest.mark.sampled(5)
@losses_and_activations(CURVED)
@every_number
@pytest.mark.parametrize("n_rows", [8, 60], ids=["dual", "primal"])
def test_every_step_goes_down_until_no_step_does(loss, n_outputs, activation, n_rows, build):
    target, theta = build(loss, n_outputs, n_rows=n_rows, activation=activation)
    first = point = target.expand(theta)
    damping, before, values = FIRST_DAMPING * target.rows.sum_weights, None, [point.value]
    while point is not before and len(values) < 300:
        before = point
        point, damping = advance(target, point, damping)
        values.append(point.value)
    assert len(values) > 3
    assert (np.diff(values) <= 1e-12 * values[0]).all()
    if activation not in ("relu", "leaky_relu"):
        assert np.abs(point.gradient).max() < 1e-2 * np.abs(first.gradient).max()


def test_a_linear_network_is_solved_in_few_steps(rng):
    X = rng.randn(50, N_FEATURES)
    y = X @ rng.randn(N_FEATURES) + 2
    model = TwoLayerRegressor(1, activation="identity", alpha=0.0, solver="lm", tol=0, max_iter=30)
    with np.errstate(all="raise"):
        model.set_params(random_state=0).fit(X, y)
    assert_allclose(model.predict(X), y, rtol=1e-9, atol=1e-9)


def test_a_noiseless_teacher_is_found_to_the_last_digit(rng):
    X = rng.randn(300, 2)
    y = np.tanh(X @ rng.randn(2, 3)) @ rng.randn(3)
    options = {"activation": "tanh", "alpha": 0.0, "tol": 0.0, "n_iter_no_change": 10**6}
    model = TwoLayerRegressor(3, solver="lm", n_init=10, random_state=0, **options).fit(X, y)
    assert model.best_loss_ < 1e-20


@pytest.mark.parametrize("tol", [1e-2, 1e-5])
def test_stops_where_the_gradient_is_below_tol(tol, rng):
    X, y = rng.randn(60, 3), rng.randint(3, size=60)
    options = {"activation": "tanh", "alpha": 1.0, "n_iter_no_change": 10**6, "random_state": 0}
    model = TwoLayerClassifier(4, solver="lm", tol=tol, **options).fit(X, y)
    settings = engine.Settings(hidden_size=4, skip=False, solver="lm")
    shape = engine.make_plan(training.task(X, y, None, 3, "log_loss", settings)).shape
    state = engine.restore(model._state)
    network = Network(shape, ACTIVATIONS["tanh"], LOSSES["log_loss"])
    rows = ArrayRows(X, y, None, state.scaling)
    gradient = rows.reduce(network.loss_gradient, state.theta)[1]
    stretches = map(shape.penalized, (state.theta, gradient))
    for W, out in zip(*stretches, strict=True):
        out += W
    assert np.abs(gradient).max() <= 60 * tol


class TestSize:
    """Systems too large to solve are refused before anything is changed."""

    @pytest.mark.parametrize("estimator", [TwoLayerRegressor, TwoLayerClassifier])
    def test_is_named_with_what_to_do_about_it(self, estimator, monkeypatch, rng):
        monkeypatch.setattr(levenberg_marquardt, "LARGEST", 31)
        X, y = rng.randn(50, 4), rng.randint(2, size=50)
        model = estimator(5, solver="lm", alpha=1.0, max_iter=500).fit(X, y)
        before = vars(model).copy()
        model.set_params(hidden_size=6)
        before["hidden_size"] = 6
        message = "at most 31 parameters.*got 37 with hidden_size=6.*lbfgs.*adam"
        with pytest.raises(ValueError, match=message):
            model.fit(X, y)
        assert vars(model).keys() == before.keys()
        assert all(vars(model)[name] is before[name] for name in before)

    def test_counts_the_smaller_of_parameters_and_rows(self):
        check_size(Shape(1000, 1000, 1), 3000)
        check_size(Shape(10, 200, 1), 10**6)
        with pytest.raises(ValueError, match="got 3002"):
            check_size(Shape(1000, 1000, 2), 1501)


@every_loss
@every_number
def test_weights_are_copies_and_the_mean_of_copies_is_the_row(loss, n_outputs, rng, draw_targets):
    shape = Shape(N_FEATURES, N_HIDDEN, n_outputs)
    X, Y = rng.randn(40, N_FEATURES), draw_targets(LOSSES[loss], 40, n_outputs)
    copies = rng.randint(1, 4, size=40)
    network = Network(shape, ACTIVATIONS["tanh"], LOSSES[loss])
    theta, precision = rng.randn(shape.size), np.full(shape.size, 0.3)
    repeated = np.repeat(np.arange(40), copies)
    weighted, plain = (
        SmallerSystem(network, rows, precision).expand(theta)
        for rows in (ArrayRows(X, Y, copies.astype(float)), ArrayRows(X[repeated], Y[repeated]))
    )
    assert_allclose(weighted.value, plain.value, rtol=1e-12)
    assert_allclose(weighted.equations.step(0.1), plain.equations.step(0.1), rtol=1e-8, atol=1e-10)


def test_a_step_leaves_its_start_alone(build):
    target, theta = build("squared_error", 1)
    before = theta.copy()
    advance(target, target.expand(theta), 1.0)
    assert_array_equal(theta, before)


def test_the_damping_falls_to_its_floor_and_no_further(build):
    """A damping of zero could never grow again."""
    target, theta = build("squared_error", 1, n_rows=60)
    least = LEAST_DAMPING * target.rows.sum_weights
    point, damping = target.expand(theta), 1.01 * least
    for _ in range(50):
        point, damping = advance(target, point, damping)
        assert damping >= least


def test_steps_that_fail_are_cut_ever_faster():
    class Wall:
        """Higher wherever one steps."""

        rows = ArrayRows(np.zeros((1, 1)), np.zeros((1, 1)))
        n_tried = 0

        def value(self, theta):
            self.n_tried += 1
            return 1.0

    class Slope:
        def step(self, damping):
            return -np.ones(1) / (1 + damping)

    wall, point = Wall(), Point(np.zeros(1), 0.0, np.ones(1), Slope())
    assert advance(wall, point, 1e-4)[0] is point
    # the damping grows by 2, 4, 8 ...: past 1e308 in some forty-five steps, not in a thousand
    assert 20 < wall.n_tried < 100
