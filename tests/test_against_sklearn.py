"""scikit-learn as the oracle: the same weights mean the same, the same steps lead there."""

import inspect
import warnings

import numpy as np
import pytest
from numpy.testing import assert_allclose
from sklearn.datasets import load_breast_cancer, load_diabetes, load_iris
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.preprocessing import scale

import training
from sklearn_twolayer import engine
from sklearn_twolayer.engine.data.rows import ArrayRows
from sklearn_twolayer.engine.model.activations import ACTIVATIONS
from sklearn_twolayer.engine.model.losses import LOSSES
from sklearn_twolayer.engine.model.network import Network
from sklearn_twolayer.engine.model.parameters import Shape
from sklearn_twolayer.engine.solvers.objective import Objective

N_ROWS, N_FEATURES, N_HIDDEN = 90, 4, 5
MLP_TAKES_WEIGHTS = "sample_weight" in inspect.signature(MLPClassifier.fit).parameters
SHARED_ACTIVATIONS = ["identity", "logistic", "tanh", "relu"]


def problem(task, rng):
    """X, y as an estimator takes it, Y as the engine takes it, number of outputs, loss."""
    X = rng.randn(N_ROWS, N_FEATURES)
    Z = X @ rng.randn(N_FEATURES, 3) + rng.randn(N_ROWS, 3)
    if task == "regression":
        return X, Z[:, 0], Z[:, [0]], 1, "squared_error"
    if task == "counts":
        y = rng.poisson(np.exp(Z[:, 0] / 3)).astype(float)
        return X, y, y[:, None], 1, "poisson"
    if task == "binary":
        y = (Z[:, 0] > 0).astype(int)
        return X, y, y[:, None].astype(float), 1, "binary_log_loss"
    if task == "multilabel":
        y = (Z > 0).astype(int)
        return X, y, y.astype(float), 3, "binary_log_loss"
    return X, Z.argmax(axis=1), Z.argmax(axis=1), 3, "log_loss"


TASKS = ["binary", "multiclass", "multilabel", "regression"]
if "loss" in inspect.signature(MLPRegressor).parameters:
    TASKS.append("counts")  # scikit-learn 1.7 and later
every_task = pytest.mark.parametrize("task", TASKS)


def fit_quietly(mlp, X, y):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return mlp.fit(X, y)


def initialized_mlp(task, X, y, **options):
    """An MLP after one epoch, so that it has weights to start from."""
    cls = MLPRegressor if task in ("regression", "counts") else MLPClassifier
    if task == "counts":
        options["loss"] = "poisson"
    mlp = cls(
        hidden_layer_sizes=N_HIDDEN,
        max_iter=1,
        warm_start=True,
        random_state=0,
        shuffle=False,
        **options,
    )
    return fit_quietly(mlp, X, y)


def theta_of(weights, biases):
    """From scikit-learn's lists of matrices to one flat vector."""
    pieces = (weights[0], biases[0], weights[1], biases[1])
    return np.concatenate([piece.ravel() for piece in pieces])


def mlp_loss_gradient(mlp, X, y, weights):
    """Loss and gradient of the MLP at its present weights on one full batch."""
    Y = y.reshape(N_ROWS, -1)
    if isinstance(mlp, MLPClassifier):
        Y = mlp._label_binarizer.transform(y)
    weights = (weights,) if MLP_TAKES_WEIGHTS else ()
    gradients = [np.empty_like(W) for W in mlp.coefs_], [np.empty_like(b) for b in mlp.intercepts_]
    loss, *gradients = mlp._backprop(X, Y, *weights, [X, None, None], [None, None], *gradients)
    return loss, theta_of(*gradients)


@every_task
@pytest.mark.parametrize("activation", SHARED_ACTIVATIONS)
@pytest.mark.parametrize("alpha", [0, 2.5])
@pytest.mark.parametrize("with_weights", [False, True], ids=["unweighted", "weighted"])
def test_same_weights_give_the_same_loss_gradient_and_prediction(
    task, activation, alpha, with_weights, rng
):
    if with_weights and not MLP_TAKES_WEIGHTS:
        pytest.skip("this MLP takes no sample weights")
    X, y, Y, n_outputs, loss = problem(task, rng)
    weights = rng.rand(N_ROWS) if with_weights else None
    mlp = initialized_mlp(task, X, y, activation=activation, alpha=alpha)
    theta = theta_of(mlp.coefs_, mlp.intercepts_)
    expected_loss, expected_gradient = mlp_loss_gradient(mlp, X, y, weights)

    network = Network(Shape(N_FEATURES, N_HIDDEN, n_outputs), ACTIVATIONS[activation], LOSSES[loss])
    value, gradient = Objective(network, ArrayRows(X, Y, weights), alpha)(theta)
    assert_allclose(value, expected_loss, rtol=1e-10)
    assert_allclose(gradient, expected_gradient, rtol=0, atol=1e-10)

    Z2 = engine.raw_prediction(mlp.coefs_, mlp.intercepts_, ACTIVATIONS[activation], X)
    expected = mlp.predict(X) if isinstance(mlp, MLPRegressor) else mlp.predict_proba(X)
    prediction = LOSSES[loss].inverse_link(Z2)
    prediction = prediction[:, 0] if isinstance(mlp, MLPRegressor) else prediction
    expected = expected[:, [1]] if task == "binary" else expected
    assert_allclose(prediction, expected, rtol=0, atol=1e-10)


@every_task
@pytest.mark.parametrize(
    "options",
    [
        {"solver": "adam", "learning_rate_init": 0.01},
        {"solver": "adam", "epsilon": 1e-2, "beta_1": 0.8, "beta_2": 0.99},
        {"solver": "sgd", "momentum": 0.9, "nesterovs_momentum": True, "learning_rate_init": 0.01},
        {"solver": "sgd", "momentum": 0.5, "nesterovs_momentum": False, "learning_rate_init": 0.1},
    ],
    ids=["adam", "adam with a large epsilon", "sgd with Nesterov momentum", "sgd with momentum"],
)
def test_fifty_epochs_of_mini_batches_end_on_the_same_weights(task, options, rng):
    X, y, Y, n_outputs, loss = problem(task, rng)
    shared = {"batch_size": 20, "alpha": 0, "tol": 0, "n_iter_no_change": 1000, **options}
    mlp = initialized_mlp(task, X, y, **shared)
    theta = theta_of(mlp.coefs_, mlp.intercepts_)
    fit_quietly(mlp.set_params(max_iter=50), X, y)

    settings = engine.Settings(
        hidden_size=N_HIDDEN, max_iter=50, shuffle=False, standardize=False, **shared
    )
    fitted = training.fit(
        training.task(X, Y, None, n_outputs, loss, settings), theta=theta, keep_best=False
    )
    expected = theta_of(mlp.coefs_, mlp.intercepts_)
    assert np.abs(expected - theta).max() > 0.1
    assert_allclose(fitted.solution.theta, expected, rtol=0, atol=1e-8)
    assert_allclose(fitted.monitor.loss_curve, mlp.loss_curve_[-50:], rtol=1e-8)


def linear_fit(X, Y, n_outputs, loss):
    """A network that can only be linear, trained to the end without penalty."""
    settings = engine.Settings(
        hidden_size=n_outputs,
        activation="identity",
        solver="lbfgs",
        alpha=0,
        tol=1e-9,
        n_iter_no_change=10**9,
        max_iter=10_000,
        max_fun=10**9,
    )
    fitted = training.fit(training.task(X, Y, None, n_outputs, loss, settings))
    Z2 = engine.raw_prediction(fitted.coefs, fitted.intercepts, ACTIVATIONS["identity"], X)
    return LOSSES[loss].inverse_link(Z2)


# scikit-learn 1.8 says that of C=inf, which it asks for itself
@pytest.mark.filterwarnings("ignore:Setting penalty=None will ignore:UserWarning")
@pytest.mark.parametrize("n_classes", [2, 3])
def test_a_linear_network_becomes_logistic_regression(n_classes):
    X, y = load_iris(return_X_y=True)
    X, y = X[y >= 3 - n_classes, :2], y[y >= 3 - n_classes] - (3 - n_classes)
    oracle = LogisticRegression(C=np.inf, tol=1e-10, max_iter=10_000).fit(scale(X), y)
    expected = oracle.predict_proba(scale(X))
    if n_classes == 2:
        P = linear_fit(X, y[:, None].astype(float), 1, "binary_log_loss")
        expected = expected[:, [1]]
    else:
        P = linear_fit(X, y, 3, "log_loss")
    assert_allclose(P, expected, rtol=0, atol=1e-5)


def test_a_linear_network_becomes_linear_regression():
    X, y = load_diabetes(return_X_y=True)
    expected = LinearRegression().fit(X, y).predict(X)
    prediction = linear_fit(X, y[:, None], 1, "squared_error")[:, 0]
    assert_allclose(prediction / y.std(), expected / y.std(), rtol=0, atol=1e-5)


def test_a_linear_network_becomes_linear_regression_of_several_targets():
    X = load_breast_cancer().data
    X, Y = X[:, 10:14], X[:, :3]
    expected = LinearRegression().fit(X, Y).predict(X)
    prediction = linear_fit(X, Y, 3, "squared_error")
    assert_allclose(prediction / Y.std(axis=0), expected / Y.std(axis=0), rtol=0, atol=1e-5)
