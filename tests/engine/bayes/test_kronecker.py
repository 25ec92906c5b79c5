import numpy as np
import pytest
from numpy.random import RandomState
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse
from scipy.linalg import null_space
from sklearn.datasets import load_diabetes, load_wine, make_friedman1, make_regression

from encoded_tables import TABLES
from kinds import TARGETS
from sklearn_twolayer import engine
from sklearn_twolayer.engine.bayes import automatic_relevance
from sklearn_twolayer.engine.bayes import kronecker_factors as module
from sklearn_twolayer.engine.bayes.ensemble import Predictive, outputs_of
from sklearn_twolayer.engine.bayes.evidence import (
    FEWEST_LEFT,
    LARGEST_BETA,
    LARGEST_PRECISION,
    Prior,
    relevance_prior,
)
from sklearn_twolayer.engine.bayes.kronecker import KroneckerLaplace
from sklearn_twolayer.engine.bayes.kronecker_factors import factors, input_factor
from sklearn_twolayer.engine.bayes.kronecker_outputs import KroneckerOutputs
from sklearn_twolayer.engine.data.encoded import encoded_moments
from sklearn_twolayer.engine.data.inputs import MixedInputs
from sklearn_twolayer.engine.data.moments import moments, no_moments
from sklearn_twolayer.engine.data.rows import ArrayRows
from sklearn_twolayer.engine.data.scaling import Scaling
from sklearn_twolayer.engine.model.activations import ACTIVATIONS
from sklearn_twolayer.engine.model.losses import LOSSES
from sklearn_twolayer.engine.model.network import Network
from sklearn_twolayer.engine.model.parameters import Shape
from sklearn_twolayer.engine.settings import Settings
from sklearn_twolayer.engine.solvers.monitor import Monitor
from sklearn_twolayer.engine.solvers.objective import Objective

N_ROWS, N_FEATURES, N_HIDDEN = 70, 4, 3
WITH_COUNTS = TARGETS | {"two counts": ("poisson", 2)}
every_target = pytest.mark.parametrize(("loss", "n_outputs"), WITH_COUNTS.values(), ids=WITH_COUNTS)
either_skip = pytest.mark.parametrize("skip", [False, True], ids=["no skip", "skip"])


def network_of(loss, n_outputs, skip=False, activation="tanh", n_features=N_FEATURES):
    shape = Shape(n_features, N_HIDDEN, n_outputs, skip)
    return Network(shape, ACTIVATIONS[activation], LOSSES[loss])


def precisions(network, rng, strength=1):
    """A prior for each group, even of those that the evidence leaves alone, and noises."""
    precision = strength * (0.2 + 3 * rng.rand(network.shape.n_groups))
    prior = Prior.plain(network.shape.groups(), precision)
    n_noises = network.shape.n_outputs if network.loss.has_noise else 1
    return prior, 0.3 + 2 * rng.rand(n_noises) if network.loss.has_noise else np.ones(1)


def laplace_of(network, theta, rows, prior, beta, n=None, n_wide=0, index=None):
    index = slice(0, rows.n_rows) if index is None else index
    n = rows.sum_weights if n is None else n
    inputs = input_factor(rows, index, network.shape.n_features, n_wide)
    found = factors(network, theta, rows, index, n, inputs)
    return KroneckerLaplace(found, network, prior, prior.precision, beta)


class Dense:
    """The two blocks of the posterior as matrices, for a theta laid out as [layer1 | layer2, W0].

    H1 and H2 (n_noises, n, n) are at noise precision 1.
    """

    def __init__(self, network, theta, prior, beta, H1, H2):
        self.network, self.theta, self.prior, self.beta = network, theta, prior, beta
        self.H, self.n1 = (H1, H2), H1.shape[-1]
        held = prior.group >= 0
        self.precision = np.where(held, prior.precision[prior.group], 0)
        A = [
            np.tensordot(beta, H, 1) + np.diag(p) for H, p in zip(self.H, self.parts(), strict=True)
        ]
        # a constant added to all logits changes no probability: the free biases leave it open
        seen = np.eye(len(A[1]))
        if network.loss.labels:
            direction = np.zeros(network.shape.size)
            network.shape.views(direction).b2[:] = 1
            seen = null_space(direction[None, self.n1 :])
        inner = seen.T @ A[1] @ seen
        self.n_free = int((~held).sum()) - int(network.loss.labels)
        self.log_det = np.linalg.slogdet(A[0])[1] + np.linalg.slogdet(inner)[1]
        self.inverses = np.linalg.inv(A[0]), seen @ np.linalg.inv(inner) @ seen.T

    def parts(self):
        return np.split(self.precision, [self.n1])

    def gamma(self):
        variances = np.concatenate([inverse.diagonal() for inverse in self.inverses])
        held, group = self.prior.group >= 0, self.prior.group
        return np.bincount(group[held], (1 - self.precision * variances)[held])

    def gamma_noise(self):
        blocks = list(zip(self.H, self.inverses, strict=True))
        return [b * sum(np.trace(A @ H[k]) for H, A in blocks) for k, b in enumerate(self.beta)]

    def log_evidence(self, errors, n):
        found = -self.beta @ errors - 0.5 * self.precision @ self.theta**2
        found += 0.5 * np.log(self.precision[self.precision > 0]).sum() - 0.5 * self.log_det
        found += 0.5 * self.n_free * np.log(2 * np.pi)
        if self.network.loss.has_noise:
            found += 0.5 * n * np.log(self.beta / (2 * np.pi)).sum()
        return found

    def covariance(self, J1, J2):
        """Of outputs, given both parts of J (n_rows, n_outputs, n)."""
        pairs = zip((J1, J2), self.inverses, strict=True)
        return sum(np.einsum("ikp,pq,ilq->ikl", J, inverse, J) for J, inverse in pairs)


def written_out(network, theta, X1, Y):
    """Z2, S = slope * W2, features b, C, and both parts of J, row by row."""
    p, activation = network.shape.views(theta), network.activation
    Z1 = X1 @ p.layer1
    A1, slope = np.empty_like(Z1), np.empty_like(Z1)
    activation.value(Z1, A1)
    activation.slope(Z1, A1, slope)
    Z2 = A1 @ p.W2 + p.b2
    B = np.column_stack([A1, np.ones(len(X1))])
    if network.shape.skip:
        Z2 = Z2 + X1[:, :-1] @ p.W0
        B = np.column_stack([B, X1[:, :-1]])
    S, n_outputs = slope[:, :, None] * p.W2, Z2.shape[1]
    J1 = np.array([np.kron(x[:, None], s).T for x, s in zip(X1, S, strict=True)])
    J2 = np.array([np.kron(b[:, None], np.eye(n_outputs)).T for b in B])
    C = network.loss.curvature(np.asfortranarray(Z2), Y)
    return Z2, S, B, C, J1, J2


def noises_apart(network, C):
    """C of each noise (n_noises, n_rows, n_outputs, n_outputs)."""
    if not network.loss.has_noise:
        return C[None]
    one = np.eye(C.shape[1])
    return np.array([C * np.outer(e, e) for e in one])


def errors_of(network, Z2, Y, w):
    losses, scratch = [network.loss], np.empty_like(Z2, order="F")
    if network.loss.has_noise:
        losses = [network.loss.with_noise(of_one) for of_one in np.eye(Z2.shape[1])]
    Z2 = np.asfortranarray(Z2)
    return np.array([w @ loss.loss_gradient(Z2, Y, scratch) for loss in losses])


def squares_of(network, Z2, Y, w):
    """Of the residuals that tell of the noise: Pearson's behind a log link."""
    if network.loss.link == "log":
        mean = np.exp(Z2)
        return w @ ((Y - mean) ** 2 / mean**network.loss.power)
    return w @ (Z2 - Y) ** 2


def draw(loss, n_outputs, rng, draw_targets, skip=False, activation="tanh", weights=None):
    network = network_of(loss, n_outputs, skip, activation)
    rows = ArrayRows(
        rng.randn(N_ROWS, N_FEATURES), draw_targets(LOSSES[loss], N_ROWS, n_outputs), weights
    )
    return network, rows, 0.7 * rng.randn(network.shape.size)


def compare(network, rows, theta, prior, beta, n, laplace, dense):
    """Everything that is told of the posterior; n counts the rows, whatever weights add up to."""
    X, Y, w = rows.take(slice(0, rows.n_rows))
    w = np.ones(rows.n_rows) if w is None else w
    X1 = X.with_ones()
    Z2, _, _, _, J1, J2 = written_out(network, theta, X1, Y)
    errors = errors_of(network, Z2, Y, w) * n / w.sum()
    gamma = dense.gamma()
    assert_allclose(laplace.gamma(), np.clip(gamma, 1e-10, None), rtol=1e-8, atol=1e-8)
    assert_allclose(laplace.log_evidence, dense.log_evidence(errors, n), rtol=1e-8)
    log_det = laplace.layer1.log_det + laplace.layer2.log_det
    assert_allclose(log_det, dense.log_det, rtol=1e-8)
    outputs, covariance = KroneckerOutputs(network, theta, laplace.covariance).of_rows(X)
    assert_allclose(outputs, Z2, rtol=1e-10, atol=1e-12)
    assert_allclose(covariance, dense.covariance(J1, J2), rtol=1e-8, atol=1e-9)
    found = laplace.estimate()
    group, held = prior.group, prior.group >= 0
    squares = np.bincount(group[held], theta[held] ** 2)
    assert_allclose(found.precision, np.clip(gamma, 1e-10, None) / squares, rtol=1e-7)
    if network.loss.has_noise:
        left = n - np.array(dense.gamma_noise())
        assert (left > FEWEST_LEFT * n).all()
        squares = squares_of(network, Z2, Y, w) * n / w.sum()
        assert_allclose(found.beta, left / squares, rtol=1e-8)
    else:
        assert_array_equal(found.beta, beta)


def exact_blocks(network, X1, w, theta, Y, n):
    """sum w J' C J of each layer, n / sum(w) times, in a row for each noise."""
    *_, C, J1, J2 = written_out(network, theta, X1, Y)
    w = w * n / w.sum()
    return [
        np.array([np.einsum("i,ikp,ikl,ilq->pq", w, J, C, J) for C in noises_apart(network, C)])
        for J in (J1, J2)
    ]


@either_skip
@pytest.mark.parametrize("n_outputs", [1, 3])
@pytest.mark.parametrize("weighted", [False, True], ids=["unweighted", "weighted"])
def test_blocks_of_a_linear_network_are_exact(n_outputs, skip, weighted, rng, draw_targets):
    """Identity and squared error leave S and C alike in all rows: A, G, B, C say it all."""
    weights = 0.2 + rng.rand(N_ROWS) if weighted else None
    network, rows, theta = draw(
        "squared_error", n_outputs, rng, draw_targets, skip, "identity", weights
    )
    prior, beta = precisions(network, rng)
    n = 1.7 * rows.sum_weights
    X, Y, w = rows.take(slice(0, N_ROWS))
    w = np.ones(N_ROWS) if w is None else w
    dense = Dense(
        network, theta, prior, beta, *exact_blocks(network, X.with_ones(), w, theta, Y, n)
    )
    laplace = laplace_of(network, theta, rows, prior, beta, n)
    compare(network, rows, theta, prior, beta, n, laplace, dense)


@either_skip
@every_target
def test_blocks_of_rows_alike_are_exact(loss, n_outputs, skip, rng, draw_targets):
    network, _, theta = draw(loss, n_outputs, rng, draw_targets, skip)
    X = np.repeat(rng.randn(1, N_FEATURES), N_ROWS, axis=0)
    rows = ArrayRows(X, draw_targets(network.loss, N_ROWS, n_outputs), 0.2 + rng.rand(N_ROWS))
    prior, beta = precisions(network, rng)
    X, Y, w = rows.take(slice(0, N_ROWS))
    n = rows.sum_weights
    dense = Dense(
        network, theta, prior, beta, *exact_blocks(network, X.with_ones(), w, theta, Y, n)
    )
    laplace = laplace_of(network, theta, rows, prior, beta)
    compare(network, rows, theta, prior, beta, n, laplace, dense)


@every_target
def test_blocks_of_units_alike_in_all_rows_are_exact(loss, n_outputs, rng, draw_targets):
    """W1 = 0 leaves S, C and b alike, whatever the rows are."""
    network, rows, theta = draw(loss, n_outputs, rng, draw_targets, weights=0.2 + rng.rand(N_ROWS))
    network.shape.views(theta).W1[:] = 0
    prior, beta = precisions(network, rng)
    X, Y, w = rows.take(slice(0, N_ROWS))
    n = rows.sum_weights
    dense = Dense(
        network, theta, prior, beta, *exact_blocks(network, X.with_ones(), w, theta, Y, n)
    )
    laplace = laplace_of(network, theta, rows, prior, beta)
    gamma = dense.gamma()
    assert_allclose(laplace.gamma(), np.clip(gamma, 1e-10, None), rtol=1e-8)
    assert_allclose(laplace.layer1.log_det + laplace.layer2.log_det, dense.log_det, rtol=1e-8)
    *_, J1, J2 = written_out(network, theta, X.with_ones(), Y)
    _, covariance = KroneckerOutputs(network, theta, laplace.covariance).of_rows(X)
    assert_allclose(covariance, dense.covariance(J1, J2), rtol=1e-8, atol=1e-10)


@either_skip
@pytest.mark.parametrize("loss", ["squared_error", "binary_log_loss"])
def test_layer_two_of_one_output_is_exact_for_any_rows(loss, skip, rng, draw_targets):
    network, rows, theta = draw(loss, 1, rng, draw_targets, skip, weights=0.2 + rng.rand(N_ROWS))
    prior, beta = precisions(network, rng)
    X, Y, w = rows.take(slice(0, N_ROWS))
    dense = Dense(
        network,
        theta,
        prior,
        beta,
        *exact_blocks(network, X.with_ones(), w, theta, Y, rows.sum_weights),
    )
    laplace = laplace_of(network, theta, rows, prior, beta)
    of_layer2 = slice(N_FEATURES + 1, None)
    assert_allclose(laplace.gamma()[of_layer2], dense.gamma()[of_layer2], rtol=1e-8)
    assert_allclose(laplace.layer2.inverses[0], dense.inverses[1], rtol=1e-8, atol=1e-12)


def from_means(network, rows, theta, n, n_joint):
    """Both blocks as Kronecker products of means over rows; other columns are uncorrelated."""
    X, Y, w = rows.take(slice(0, rows.n_rows))
    w = np.ones(rows.n_rows) if w is None else w.astype(np.float64)
    X1 = X.with_ones()
    _, S, B, C, _, _ = written_out(network, theta, X1, Y)
    alone = np.arange(X1.shape[1] - 1) >= n_joint
    in_X1, in_B = np.append(alone, False), np.zeros(B.shape[1], bool)
    if network.shape.skip:
        in_B[N_HIDDEN + 1 :] = alone
    trace = w * np.einsum("ikk->i", C)
    A, B = (X1 * w[:, None]).T @ X1 / w.sum(), (B * trace[:, None]).T @ B / trace.sum()
    for matrix, apart in ((A, in_X1), (B, in_B)):
        uncorrelated = (apart[:, None] | apart) & ~np.eye(len(apart), dtype=bool)
        matrix[uncorrelated] = 0
    H1, H2 = [], []
    for of_noise in noises_apart(network, C):
        G = np.einsum("i,ihk,ikl,igl->hg", w, S, of_noise, S) / w.sum()
        H1.append(n * np.kron(A, G))
        H2.append(n * np.kron(B, np.tensordot(w, of_noise, 1) / w.sum()))
    return np.array(H1), np.array(H2)


@pytest.mark.parametrize("n_joint", [N_FEATURES, 0], ids=["correlated", "uncorrelated"])
@either_skip
@every_target
def test_is_the_posterior_of_the_products(
    loss, n_outputs, skip, n_joint, rng, draw_targets, monkeypatch
):
    """The definition, whatever the activation: written out with np.kron."""
    if n_joint == 0:
        monkeypatch.setattr(module, "MOST_CORRELATED", N_FEATURES - 1)
    network, rows, theta = draw(
        loss, n_outputs, rng, draw_targets, skip, weights=0.2 + rng.rand(N_ROWS)
    )
    prior, beta = precisions(network, rng)
    n = 2.5 * rows.sum_weights
    dense = Dense(network, theta, prior, beta, *from_means(network, rows, theta, n, n_joint))
    laplace = laplace_of(network, theta, rows, prior, beta, n)
    compare(network, rows, theta, prior, beta, n, laplace, dense)


WIDE = ("a wide category", "wide categories alone", "everything")


def wide_rows(table, loss, n_outputs, rng):
    """Rows with categories of many levels, and their encoding."""
    X = TABLES[table].draw(N_ROWS, rng)
    encoding = TABLES[table].learn(X)
    found, _ = encoded_moments(X, None, encoding)
    scaling = Scaling(found, no_moments(n_outputs), N_ROWS, float(N_ROWS))
    labels = LOSSES[loss].labels
    Y = rng.randint(n_outputs, size=N_ROWS) if labels else rng.randn(N_ROWS, n_outputs)
    weights = 0.2 + rng.rand(N_ROWS)
    return ArrayRows(X, Y, weights, scaling, encoding=encoding, fill=scaling.fill), encoding


@pytest.mark.sampled(5)
@pytest.mark.parametrize("table", WIDE)
@pytest.mark.parametrize("most", [1000, 0], ids=["narrow columns correlated", "none"])
@either_skip
@pytest.mark.parametrize(("loss", "n_outputs"), [("squared_error", 2), ("log_loss", 3)])
def test_levels_of_wide_categories_are_uncorrelated(
    table, loss, n_outputs, skip, most, rng, monkeypatch
):
    monkeypatch.setattr(module, "MOST_CORRELATED", most)
    # they are never written out either
    monkeypatch.setattr(MixedInputs, "with_ones", None)
    rows, encoding = wide_rows(table, loss, n_outputs, rng)
    n_features, n_wide = int(encoding.sizes.sum()), rows.source.expansion.n_wide
    assert n_wide > 64
    shape = Shape(n_features, N_HIDDEN, n_outputs, skip, encoding.blocks, encoding.fan_in)
    network = Network(shape, ACTIVATIONS["tanh"], LOSSES[loss])
    theta, (prior, beta) = 0.5 * rng.randn(shape.size), precisions(network, rng, 20)
    laplace = laplace_of(network, theta, rows, prior, beta, n_wide=n_wide)
    n_joint = n_features - n_wide if most == 1000 else 0
    assert laplace.factors.inputs.n_joint == n_joint
    monkeypatch.undo()
    n = rows.sum_weights
    dense = Dense(network, theta, prior, beta, *from_means(network, rows, theta, n, n_joint))
    compare(network, rows, theta, prior, beta, n, laplace, dense)


def everything(network, theta, rows, prior, beta, **options):
    """What is known of the posterior, as one list of arrays."""
    laplace = laplace_of(network, theta, rows, prior, beta, **options)
    found, (X, _, _) = laplace.estimate(), rows.take(slice(0, 20))
    outputs = KroneckerOutputs(network, laplace.factors.theta, laplace.covariance).of_rows(X)
    return [found.gamma, found.precision, found.beta, *outputs, laplace.log_evidence]


@pytest.mark.parametrize("most", [1000, 0], ids=["correlated", "uncorrelated"])
@pytest.mark.parametrize("centred", [False, True], ids=["not centred", "centred"])
@either_skip
@every_target
def test_sparse_rows_give_what_dense_rows_give(
    loss, n_outputs, skip, centred, most, rng, draw_targets, monkeypatch
):
    monkeypatch.setattr(module, "MOST_CORRELATED", most)
    network, _, theta = draw(loss, n_outputs, rng, draw_targets, skip)
    X = rng.randn(N_ROWS, N_FEATURES) * (rng.rand(N_ROWS, N_FEATURES) < 0.3)
    Y, weights = draw_targets(network.loss, N_ROWS, n_outputs), 0.2 + rng.rand(N_ROWS)
    scaling = None
    if centred:
        scaling = Scaling(moments(X, None), no_moments(n_outputs), N_ROWS, float(N_ROWS))
    prior, beta = precisions(network, rng)
    found = [
        everything(network, theta, ArrayRows(rows, Y, weights, scaling), prior, beta)
        for rows in (X, sparse.csr_array(X))
    ]
    for ours, theirs in zip(*found, strict=True):
        assert_allclose(ours, theirs, rtol=1e-9, atol=1e-11)


@either_skip
@every_target
def test_single_precision_costs_its_rounding_only(loss, n_outputs, skip, rng, draw_targets):
    network, _, theta = draw(loss, n_outputs, rng, draw_targets, skip)
    theta = theta.astype(np.float32)
    X, weights = rng.randn(N_ROWS, N_FEATURES).astype(np.float32), np.ones(N_ROWS, np.float32)
    Y = draw_targets(network.loss, N_ROWS, n_outputs)
    prior, beta = precisions(network, rng)
    found = []
    for dtype in (np.float32, np.float64):
        targets = Y if network.loss.labels else Y.astype(np.float32)
        rows = ArrayRows(X.astype(dtype), targets, weights, dtype=dtype)
        found.append(everything(network, theta.astype(dtype), rows, prior, beta))
    for ours, theirs in zip(*found, strict=True):
        assert np.asarray(ours).dtype == np.float64
        assert_allclose(ours, theirs, rtol=1e-10, atol=1e-12)


@either_skip
@every_target
def test_weights_are_copies(loss, n_outputs, skip, rng, draw_targets):
    copies = rng.randint(1, 4, size=N_ROWS)
    network, rows, theta = draw(loss, n_outputs, rng, draw_targets, skip)
    X, Y, _ = rows.take(slice(0, N_ROWS))
    X, of_copies = X.with_ones()[:, :-1], np.repeat(np.arange(N_ROWS), copies)
    prior, beta = precisions(network, rng)
    weighted = ArrayRows(X, Y, copies / copies.mean())
    repeated = ArrayRows(X[of_copies], Y[of_copies])
    n = float(copies.sum())
    ours = laplace_of(network, theta, weighted, prior, beta, n)
    theirs = laplace_of(network, theta, repeated, prior, beta, n)
    for name in ("gamma", "precision", "beta"):
        of_ours, of_theirs = (getattr(each.estimate(), name) for each in (ours, theirs))
        assert_allclose(of_ours, of_theirs, rtol=1e-10)
    assert_allclose(ours.log_evidence, theirs.log_evidence, rtol=1e-10)


@every_target
def test_some_rows_speak_for_all(loss, n_outputs, rng, draw_targets):
    network, rows, theta = draw(loss, n_outputs, rng, draw_targets, weights=0.2 + rng.rand(N_ROWS))
    prior, beta = precisions(network, rng)
    index = np.sort(rng.permutation(N_ROWS)[:40])
    some = laplace_of(network, theta, rows, prior, beta, 1000.0, index=index)
    part = laplace_of(network, theta, rows.part(index), prior, beta, 1000.0)
    assert_array_equal(some.estimate().precision, part.estimate().precision)
    assert some.log_evidence == part.log_evidence


def test_blocks_of_rows_add_up(rng, draw_targets, monkeypatch):
    network, rows, theta = draw("log_loss", 3, rng, draw_targets, True, weights=rng.rand(N_ROWS))
    prior, beta = precisions(network, rng)
    whole = everything(network, theta, rows, prior, beta)
    monkeypatch.setattr(module, "ROWS_AT_A_TIME", 16)
    for ours, theirs in zip(everything(network, theta, rows, prior, beta), whole, strict=True):
        assert_allclose(ours, theirs, rtol=1e-10, atol=1e-12)


def test_a_direction_without_curvature_keeps_its_prior(rng):
    """One of the logits common to all classes, and of classes that are certain."""
    network = network_of("log_loss", 3, skip=True)
    theta = 0.5 * rng.randn(network.shape.size)
    network.shape.views(theta).b2[2] = -200.0  # a class that is never met
    rows = ArrayRows(rng.randn(N_ROWS, N_FEATURES), rng.randint(2, size=N_ROWS))
    prior, beta = precisions(network, rng)
    laplace = laplace_of(network, theta, rows, prior, beta)
    assert laplace.identified.tolist() == [False, False, True]
    of_W2, of_W0 = 1 / prior.precision[-2:]
    expected = np.diag([of_W2] * N_HIDDEN + [0] + [of_W0] * N_FEATURES)
    for inverse in laplace.layer2.inverses[:2]:
        assert_allclose(inverse, expected, rtol=1e-12)
    assert np.isfinite(laplace.log_evidence)
    # they determine nothing: gamma is that of the one direction
    one = laplace.layer2.inverses[2].diagonal()
    assert_allclose(laplace.gamma()[-1], (1 - one[N_HIDDEN + 1 :] / of_W0).sum(), rtol=1e-9)


def test_what_is_identified_is_relative(rng):
    """Where all is nearly certain, as little as that still tells of every label."""
    network = network_of("binary_log_loss", 2)
    theta = 0.5 * rng.randn(network.shape.size)
    network.shape.views(theta).b2[:] = -28, -30  # p (1 - p) is below 1e-11
    rows = ArrayRows(rng.randn(N_ROWS, N_FEATURES), np.zeros((N_ROWS, 2)))
    assert laplace_of(network, theta, rows, *precisions(network, rng)).identified.all()


@pytest.mark.parametrize(("most", "n_joint"), [(3, 0), (4, 4), (5, 4)])
def test_correlations_of_no_more_columns_than_that_count(most, n_joint, rng, monkeypatch):
    monkeypatch.setattr(module, "MOST_CORRELATED", most)
    rows = ArrayRows(rng.randn(N_ROWS, 4), rng.randn(N_ROWS, 1))
    found = input_factor(rows, slice(0, N_ROWS), 4, 0)
    assert (found.n_joint, len(found.alone)) == (n_joint, 4 - n_joint)


def test_estimates_stay_within_their_bounds(rng):
    network = network_of("squared_error", 1)
    theta = 1e-9 * rng.randn(network.shape.size)
    network.shape.views(theta).b2[:] = 0
    rows = ArrayRows(rng.randn(N_ROWS, N_FEATURES), 1e-9 * rng.randn(N_ROWS, 1))
    prior, beta = relevance_prior(network.shape, np.ones(network.shape.n_groups)), np.ones(1)
    found = laplace_of(network, theta, rows, prior, beta).estimate()
    assert_allclose(found.precision, LARGEST_PRECISION)
    assert found.beta == LARGEST_BETA
    assert (found.gamma > 0).all()


def test_of_more_parameters_than_rows_a_tenth_of_the_rows_tells_of_the_noise(rng):
    shape = Shape(30, 40, 1)
    network = Network(shape, ACTIVATIONS["identity"], LOSSES["squared_error"])
    rows = ArrayRows(rng.randn(20, 30), rng.randn(20, 1))
    prior = Prior.plain(shape.groups(), np.full(shape.n_groups, 1e-4))
    laplace = laplace_of(network, rng.randn(shape.size), rows, prior, np.ones(1))
    (error,) = laplace.factors.errors
    assert_allclose(laplace.estimate().beta, FEWEST_LEFT * 20 / (2 * error), rtol=1e-12)


@pytest.mark.parametrize("part", ["theta", "Y"])
def test_factors_that_are_not_finite_are_told(part, rng):
    network = network_of("squared_error", 1)
    theta, Y = rng.randn(network.shape.size), rng.randn(N_ROWS, 1)
    rows = ArrayRows(rng.randn(N_ROWS, N_FEATURES), Y)
    inputs = input_factor(rows, slice(0, N_ROWS), N_FEATURES, 0)
    arguments = network, theta, rows, slice(0, N_ROWS), 1.0, inputs
    assert factors(*arguments).are_finite
    (theta if part == "theta" else rows.Y)[3] = np.nan
    assert not factors(*arguments).are_finite


# against the exact posterior -------------------------------------------------------------------


def standardized(A):
    return (A - A.mean(axis=0)) / np.where(A.std(axis=0) > 0, A.std(axis=0), 1)


PROBLEMS = {
    "friedman1": ("squared_error", *make_friedman1(200, 10, noise=1.0, random_state=0)),
    "diabetes": ("squared_error", *load_diabetes(return_X_y=True)),
    "two targets": (
        "squared_error",
        *make_regression(150, 6, n_targets=2, noise=30, random_state=1),
    ),
    "wine": ("log_loss", *load_wine(return_X_y=True)),
}


@pytest.mark.parametrize("name", PROBLEMS)
def test_is_near_the_exact_posterior(name):
    """Same weights, precisions and noise: only the block between layers, and products, differ."""
    loss, X, Y = PROBLEMS[name]
    if loss == "squared_error":
        Y = standardized(Y.reshape(len(Y), -1))
    n_outputs = Y.shape[1] if Y.ndim == 2 else int(Y.max()) + 1
    shape = Shape(X.shape[1], 10, n_outputs)
    network = Network(shape, ACTIVATIONS["tanh"], LOSSES[loss])
    rows = ArrayRows(standardized(X), Y)
    settings = Settings(solver="lm", max_iter=100, dtype="float64")
    theta = 0.3 * RandomState(0).randn(shape.size)
    found = automatic_relevance.solve(
        Objective(network, rows, 0.0), theta, settings, Monitor(0, 10**9), RandomState(0)
    )
    posterior, beta = found.posterior, found.state["beta"]
    prior = relevance_prior(shape, found.state["precision"])
    ours = laplace_of(network, posterior.theta, rows, prior, beta)
    exact = posterior.n_effective_parameters
    n_effective = ours.gamma().sum() + ours.identified.sum()
    assert exact <= n_effective <= 1.6 * exact
    assert ours.log_evidence < posterior.log_evidence
    X, _, _ = rows.take(slice(0, rows.n_rows))
    covariances = [
        outputs_of(network, posterior.theta, covariance).of_rows(X)[1]
        for covariance in (ours.covariance, posterior.covariance)
    ]
    deviations = [np.sqrt(variances(each, network.loss.labels)) for each in covariances]
    assert np.median(np.abs(deviations[0] / deviations[1] - 1)) < 0.25
    if loss == "squared_error":
        totals = [np.sqrt(each**2 + posterior.noise) for each in deviations]
        assert np.median(np.abs(totals[0] / totals[1] - 1)) < 0.05


def variances(covariance, labels):
    """Of outputs, or of differences of logits, which is all that probabilities know of."""
    diagonal = np.einsum("ikk->ik", covariance)
    if not labels:
        return diagonal
    first, second = np.triu_indices(diagonal.shape[1], 1)
    return diagonal[:, first] + diagonal[:, second] - 2 * covariance[:, first, second]


@either_skip
@pytest.mark.parametrize("n_outputs", [1, 3])
def test_a_posterior_survives_being_a_dict(n_outputs, skip, rng, draw_targets):
    network, rows, theta = draw("squared_error", n_outputs, rng, draw_targets, skip)
    laplace = laplace_of(network, theta, rows, *precisions(network, rng))
    predictive = Predictive([theta], [laplace.covariance], np.ones(1), 0.9, 0.3)
    state = engine.preserve_predictive(predictive)
    assert isinstance(state["covariances"][0], dict)
    restored = engine.restore_predictive(state)
    assert (restored.temperature, restored.variance_fraction) == (0.9, 0.3)
    X, _, _ = rows.take(slice(0, 10))
    for each in zip(
        outputs_of(network, theta, restored.covariances[0]).of_rows(X),
        outputs_of(network, theta, laplace.covariance).of_rows(X),
        strict=True,
    ):
        assert_array_equal(*each)


def test_takes_memory_of_the_layers_not_of_the_parameters(rng, draw_targets):
    network, rows, theta = draw("squared_error", 1, rng, draw_targets)
    covariance = laplace_of(network, theta, rows, *precisions(network, rng)).covariance
    d, h = N_FEATURES + 1, N_HIDDEN
    arrays = [array for array in vars(covariance).values() if array is not None]
    assert sum(array.size for array in arrays) == (d**2 + d + h + h**2 + 1 + (h + 1) ** 2)
