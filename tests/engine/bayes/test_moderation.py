from itertools import product

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.optimize import minimize
from scipy.special import expit, log_softmax, softmax

from sklearn_twolayer.engine.bayes import moderation
from sklearn_twolayer.engine.bayes.moderation import (
    TEMPERATURES,
    VARIANCE_FRACTIONS,
    Moderation,
    choose_moderation,
    leave_one_out,
    with_labels_of,
)
from sklearn_twolayer.engine.model.losses import LOSSES

N_ROWS = 40
KINDS = {
    "binary": ("binary_log_loss", 1),
    "two labels": ("binary_log_loss", 2),
    "three classes": ("log_loss", 3),
}
every_kind = pytest.mark.parametrize(("loss", "n_outputs"), KINDS.values(), ids=KINDS)


def logits(n_outputs, rng, n_rows=N_ROWS):
    """Logits, and a covariance of them in each row."""
    root = rng.randn(n_rows, n_outputs, n_outputs)
    return 3 * rng.randn(n_rows, n_outputs), root @ root.transpose(0, 2, 1)


@pytest.mark.parametrize("n_outputs", [1, 3])
@pytest.mark.parametrize(("temperature", "fraction"), [(1.0, 1.0), (0.5, 0.3), (2.0, 0.0)])
def test_of_a_single_logit_is_mackays_formula(n_outputs, temperature, fraction, rng):
    Z2, covariance = logits(n_outputs, rng)
    found = Moderation(temperature, fraction)(Z2, covariance, softmax=False)
    for k in range(n_outputs):
        z = temperature * Z2[:, k]
        variance = fraction * temperature**2 * covariance[:, k, k]
        assert_allclose(found[:, k], z / np.sqrt(1 + np.pi * variance / 8), rtol=1e-12)


@pytest.mark.parametrize(("z", "deviation"), [(0.5, 0.3), (2, 1), (-3, 2), (1, 4)])
def test_is_close_to_the_mean_probability(z, deviation, rng):
    draws = z + deviation * rng.randn(200_000)
    found = Moderation()(np.array([[z]]), np.array([[[deviation**2]]]), softmax=False)
    assert_allclose(expit(found), [[expit(draws).mean()]], atol=0.02)


def test_of_a_softmax_is_close_to_the_mean_probability(rng):
    Z2, covariance = logits(3, rng, 10)
    draws = [rng.multivariate_normal(*pair, 50_000) for pair in zip(Z2, covariance, strict=True)]
    expected = [softmax(each, axis=1).mean(axis=0) for each in draws]
    moderated = softmax(Moderation()(Z2, covariance, softmax=True), axis=1)
    error, raw_error = np.abs(moderated - expected), np.abs(softmax(Z2, axis=1) - expected)
    assert error.max() < 0.06
    assert error.mean() < 0.5 * raw_error.mean()


def test_sure_logits_are_left_alone(rng):
    Z2, covariance = logits(3, rng)
    for none in (
        Moderation(variance_fraction=0.0)(Z2, covariance, True),
        Moderation()(Z2, 0 * covariance, 1),
    ):
        assert_allclose(none, log_softmax(Z2, axis=1), rtol=1e-10, atol=1e-12)
    assert_allclose(Moderation()(Z2, 0 * covariance, False), Z2, rtol=1e-15)
    cooler = Moderation(0.5)(Z2, 0 * covariance, True)
    assert_allclose(cooler, log_softmax(Z2 / 2, axis=1), rtol=1e-10, atol=1e-12)


def test_two_classes_of_a_softmax_are_one_logit(rng):
    Z2, covariance = logits(2, rng)
    found = Moderation(2.0, 0.3)(Z2, covariance, softmax=True)
    contrast = np.array([-1, 1])
    single = Moderation(2.0, 0.3)(
        Z2 @ contrast[:, None], (covariance @ contrast @ contrast)[:, None, None], softmax=False
    )
    assert_allclose(found @ contrast, single[:, 0], rtol=1e-9)


def test_what_all_logits_share_changes_no_probability(rng):
    Z2, covariance = logits(4, rng)
    shift, u = 50 * rng.randn(N_ROWS, 1), rng.randn(N_ROWS, 4, 1)
    ones = np.ones((1, 1, 4))
    expected = Moderation(0.7, 0.3)(Z2, covariance, softmax=True)
    shared = covariance + u @ ones + (u @ ones).transpose(0, 2, 1) + 100
    found = Moderation(0.7, 0.3)(Z2 + shift, shared, softmax=True)
    assert_allclose(found, expected, rtol=1e-8, atol=1e-8)


@pytest.mark.parametrize("by_softmax", [False, True])
def test_more_variance_is_nearer_to_chance(by_softmax, rng):
    Z2, covariance = logits(3, rng)
    link = (lambda Z: softmax(Z, axis=1)) if by_softmax else expit
    chance = 1 / 3 if by_softmax else 0.5
    P = [link(Moderation()(Z2, v * covariance, by_softmax)) for v in (0.0, 0.1, 1.0, 10.0, 1e12)]
    # the class on top, or every single answer
    tops = [p.max(axis=1) if by_softmax else np.abs(p - 0.5) + 0.5 for p in P]
    if not by_softmax:
        assert (np.diff(tops, axis=0) < 0).all()
    assert (np.diff([top.mean() for top in tops]) < 0).all()
    assert_allclose(P[-1], chance, atol=0.01)


@pytest.mark.parametrize("size", [1e-300, 1.0, 1e4, 1e100])
@pytest.mark.parametrize("by_softmax", [False, True])
def test_numbers_of_any_size_are_finite(size, by_softmax, rng):
    Z2, covariance = logits(3, rng)
    with np.errstate(over="raise", invalid="raise", divide="raise"):
        found = Moderation()(size * Z2, size * covariance, by_softmax)
    assert np.isfinite(found).all()


class Linear:
    """Logistic regression under a Gaussian prior, with any number of outputs, at its mode."""

    def __init__(self, loss, n_outputs, rng, draw_targets, precision=0.5):
        self.loss, self.n_outputs, self.precision = LOSSES[loss], n_outputs, precision
        self.X = rng.randn(N_ROWS, 3)
        self.Y = draw_targets(self.loss, N_ROWS, n_outputs)
        # J[i] is (n_outputs, n_parameters), for theta = B.ravel() with B (3, n_outputs)
        self.J = np.einsum("ia,kl->ikal", self.X, np.eye(n_outputs)).reshape(N_ROWS, n_outputs, -1)
        start = np.zeros(3 * n_outputs)
        self.theta = minimize(self.value, start, jac=True, options={"gtol": 1e-12}).x
        for _ in range(3):
            gradient, A = self.value(self.theta)[1], self.curvature()
            self.theta = self.theta - np.linalg.solve(A, gradient)

    def look(self, theta):
        Z2 = np.asfortranarray(self.J @ theta)
        gradient = np.empty_like(Z2)
        losses = self.loss.loss_gradient(Z2, self.Y, gradient)
        return Z2, losses, gradient, self.loss.curvature(Z2, self.Y)

    def value(self, theta):
        _, losses, gradient, _ = self.look(theta)
        prior = self.precision * theta
        return losses.sum() + 0.5 * prior @ theta, np.einsum("ika,ik->a", self.J, gradient) + prior

    def curvature(self):
        C = self.look(self.theta)[3]
        return np.einsum("ika,ikl,ilb->ab", self.J, C, self.J) + self.precision * np.eye(
            len(self.theta)
        )


@every_kind
def test_leaving_one_out_is_a_newton_step_without_the_row(
    loss, n_outputs, rng, draw_targets, monkeypatch
):
    monkeypatch.setattr(moderation, "ALMOST_ALL", 1.0)
    model = Linear(loss, n_outputs, rng, draw_targets)
    Z2, _, gradient, C = model.look(model.theta)
    A, J = model.curvature(), model.J
    found_Z2, found_covariance = leave_one_out(
        model.loss, Z2, J @ np.linalg.inv(A) @ J.transpose(0, 2, 1), model.Y, np.ones(N_ROWS)
    )
    for i in range(N_ROWS):
        without = A - J[i].T @ C[i] @ J[i]
        # the rows that stay have the opposite gradient at the mode
        theta = model.theta + np.linalg.solve(without, J[i].T @ gradient[i])
        assert_allclose(found_Z2[i], J[i] @ theta, rtol=1e-8, atol=1e-8)
        assert_allclose(
            found_covariance[i], J[i] @ np.linalg.solve(without, J[i].T), rtol=1e-7, atol=1e-9
        )


@every_kind
def test_leaving_one_out_predicts_the_row_less_well(loss, n_outputs, rng, draw_targets):
    model = Linear(loss, n_outputs, rng, draw_targets)
    Z2, losses, _, _ = model.look(model.theta)
    A, J = model.curvature(), model.J
    covariance = J @ np.linalg.inv(A) @ J.transpose(0, 2, 1)
    before = Z2.copy(), covariance.copy()
    without, _ = leave_one_out(model.loss, Z2, covariance, model.Y, np.ones(N_ROWS))
    scratch = np.empty_like(Z2, order="F")
    assert (model.loss.loss_gradient(np.asfortranarray(without), model.Y, scratch) >= losses).all()
    assert_allclose(Z2, before[0])
    assert_allclose(covariance, before[1])


def log_losses(loss, Z2, Y):
    if loss == "log_loss":
        return -log_softmax(Z2, axis=1)[np.arange(len(Y)), Y]
    return (np.logaddexp(0, Z2) - Y * Z2).sum(axis=1)


def scores(loss, Z2, covariance, Y, weights):
    """The weighted log-loss of rows, for each choice there is."""
    return {
        choice: weights
        @ log_losses(loss, Moderation(*choice)(Z2, covariance, loss == "log_loss"), Y)
        for choice in product(TEMPERATURES, VARIANCE_FRACTIONS)
    }


@every_kind
@pytest.mark.parametrize("size", [0.3, 1.0, 4.0])
def test_the_likeliest_choice_is_made(loss, n_outputs, size, rng, draw_targets):
    Y = draw_targets(LOSSES[loss], N_ROWS, n_outputs)
    Z2, covariance = logits(n_outputs, rng)
    weights = rng.randint(0, 4, N_ROWS).astype(float)
    found = choose_moderation(LOSSES[loss], [(size * Z2, 0.05 * covariance, Y, weights)])
    all_scores = scores(loss, size * Z2, 0.05 * covariance, Y, weights)
    best = min(all_scores.values())
    assert_allclose(all_scores[found.temperature, found.variance_fraction], best, rtol=1e-12)


@every_kind
def test_weights_are_copies(loss, n_outputs, rng, draw_targets):
    Y = draw_targets(LOSSES[loss], N_ROWS, n_outputs)
    Z2, covariance = logits(n_outputs, rng)
    covariance *= 0.05
    copies = rng.randint(0, 4, N_ROWS)
    repeated = np.repeat(np.arange(N_ROWS), copies)
    weighted = choose_moderation(LOSSES[loss], [(Z2, covariance, Y, copies.astype(float))])
    plain = choose_moderation(
        LOSSES[loss], [(Z2[repeated], covariance[repeated], Y[repeated], np.ones(len(repeated)))]
    )
    assert weighted == plain


def test_weights_matter():
    """Half of the rows are right and half are wrong, all of them sure."""
    Z2, covariance, Y = np.full((20, 1), 4.0), np.zeros((20, 1, 1)), np.ones((20, 1))
    Y[10:] = 0
    right, wrong = Y[:, 0], 1 - Y[:, 0]
    loss = LOSSES["binary_log_loss"]
    assert choose_moderation(loss, [(Z2, covariance, Y, right)]).temperature == max(TEMPERATURES)
    assert choose_moderation(loss, [(Z2, covariance, Y, wrong)]).temperature == min(TEMPERATURES)


@pytest.mark.parametrize(("size", "temperature"), [(1.0, 1.0), (2.0, 0.5), (0.5, 2.0)])
def test_overconfidence_is_seen(size, temperature, rng):
    Z2 = 1.5 * rng.randn(20_000, 1)
    Y = (rng.rand(20_000, 1) < expit(Z2)).astype(float)
    covariance = np.zeros((20_000, 1, 1))
    loss = LOSSES["binary_log_loss"]
    assert choose_moderation(loss, [(size * Z2, covariance, Y, np.ones(20_000))]) == Moderation(
        temperature, VARIANCE_FRACTIONS[0]
    )


def test_a_row_that_determines_its_own_weights_leaves_finite_logits():
    loss = LOSSES["binary_log_loss"]
    Z2, Y = np.array([[9.0], [-9.0]]), np.array([[1.0], [0.0]])
    influence = 1 / loss.curvature(Z2, Y)
    found = leave_one_out(loss, Z2, influence, Y, np.ones(2))
    assert all(np.isfinite(part).all() for part in found)
    choice = choose_moderation(loss, [(Z2, influence, Y, np.ones(2))])
    assert np.isfinite(choice(Z2, influence, False)).all()


@every_kind
def test_a_row_of_little_weight_has_little_to_take_away(loss, n_outputs, rng, draw_targets):
    """With weights below one, V C may exceed one, though w V C does not."""
    model, weights = Linear(loss, n_outputs, rng, draw_targets), np.full(N_ROWS, 0.05)
    Z2, _, _, C = model.look(model.theta)
    A = np.einsum("i,ika,ikl,ilb->ab", weights, model.J, C, model.J) + 0.05 * np.eye(3 * n_outputs)
    J, scratch = model.J, np.empty_like(Z2, order="F")
    covariance = J @ np.linalg.inv(A) @ J.transpose(0, 2, 1)
    _, without = leave_one_out(model.loss, Z2, covariance, model.Y, weights)
    for i in range(N_ROWS):
        # up to the share of its influence that a row keeps
        expected = J[i] @ np.linalg.inv(A - 0.05 * J[i].T @ C[i] @ J[i]) @ J[i].T
        assert_allclose(without[i], expected, rtol=0.02)
    with np.errstate(invalid="raise"):
        chosen = choose_moderation(model.loss, [(Z2, without, model.Y, weights)])
    logits = np.asfortranarray(chosen(Z2, without, model.loss.labels))
    assert np.isfinite(model.loss.loss_gradient(logits, model.Y, scratch)).all()


@every_kind
def test_blocks_choose_as_all_rows_do(loss, n_outputs, rng, draw_targets):
    Y = draw_targets(LOSSES[loss], N_ROWS, n_outputs)
    Z2, covariance = logits(n_outputs, rng)
    right = Z2.argmax(axis=1) if loss == "log_loss" else (Z2 > 0).astype(float)
    Y[:32] = right[:32]
    well_to_badly_predicted = np.argsort(log_losses(loss, Z2, Y))
    rows = [part[well_to_badly_predicted] for part in (Z2, covariance, Y, rng.rand(N_ROWS))]
    parts = [[part[a:b] for part in rows] for a, b in ((0, 20), (20, N_ROWS))]
    whole = choose_moderation(LOSSES[loss], [rows])
    assert choose_moderation(LOSSES[loss], iter(parts)) == whole
    # not what either of them alone would choose
    assert all(choose_moderation(LOSSES[loss], [part]) != whole for part in parts)


class TestLabels:
    """What is most probable stays so."""

    def test_of_a_softmax_stay_where_moderation_would_move_them(self, rng):
        Z2, covariance = logits(5, rng, 2000)
        moderated = Moderation()(0.3 * Z2, covariance, softmax=True)
        changed = moderated.argmax(axis=1) != Z2.argmax(axis=1)
        assert changed.any()
        found = with_labels_of(Z2, moderated, softmax=True)
        assert_array_equal(found.argmax(axis=1), Z2.argmax(axis=1))
        assert_array_equal(found[~changed], moderated[~changed])
        # the one on top is level with the highest, and no other moves
        rows, top = np.flatnonzero(changed), Z2.argmax(axis=1)[changed]
        assert_allclose(found[rows, top], moderated[rows].max(axis=1), rtol=1e-12)
        found[rows, top] = moderated[rows, top]
        assert_array_equal(found, moderated)

    @pytest.mark.parametrize("dtype", [np.float32, np.float64])
    @pytest.mark.parametrize("size", [0.0, 1.0, 1e5])
    def test_stay_in_probabilities_that_are_level(self, dtype, size):
        eps = np.finfo(dtype).eps
        Z2 = size * (1 + eps * np.eye(3, dtype=dtype)) + eps / 1000 * np.eye(3, dtype=dtype)
        top = Z2.argmax(axis=1)
        for level in (Z2, np.full_like(Z2, size), np.full_like(Z2, -size)):
            found = with_labels_of(Z2, level, softmax=True)
            assert found.dtype == dtype
            assert_allclose(found, level, rtol=10 * eps, atol=10 * eps)
            assert_array_equal(LOSSES["log_loss"].inverse_link(found).argmax(axis=1), top)
            assert_array_equal(log_softmax(found, axis=1).argmax(axis=1), top)

    @pytest.mark.parametrize("dtype", [np.float32, np.float64])
    def test_of_one_logit_are_its_sign(self, dtype):
        Z2 = np.array([[1e-30, -1e-30], [0, 2], [-3, 1]], dtype=dtype)
        found = with_labels_of(Z2, Z2 / 1000, softmax=False)
        P = LOSSES["binary_log_loss"].inverse_link(found)
        against = LOSSES["binary_log_loss"].inverse_link(-found)
        assert found.dtype == dtype
        assert_array_equal(P > 0.5, Z2 > 0)
        assert_array_equal(P > against, Z2 > 0)
        assert_array_equal(found[1:], (Z2 / 1000)[1:])

    def test_of_a_single_class_need_nothing(self):
        Z2 = np.array([[3.0], [-1.0]])
        assert_array_equal(with_labels_of(Z2, 0 * Z2, softmax=True), 0 * Z2)

    def test_with_rivals_out_of_range(self):
        logits = np.array([[-np.inf, 0, -np.inf]], dtype=np.float32)
        assert_array_equal(with_labels_of(np.array([[0, 9, 1]]), logits, softmax=True), logits)
