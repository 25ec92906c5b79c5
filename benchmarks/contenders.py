"""Who is timed. To add one: write a factory, add one line to ``CONTENDERS``.

A factory gets a problem and its data, prepares whatever should not be timed, and returns a
function that does the work: the problem's epochs of Adam on mini-batches, from scratch.
It returns None where it cannot take part.
"""

import os
import warnings

import numpy as np
from scipy import sparse
from sklearn.exceptions import ConvergenceWarning
from sklearn.neural_network import MLPClassifier, MLPRegressor

from sklearn_twolayer import TwoLayerClassifier, TwoLayerRegressor

ADAM = {"solver": "adam", "alpha": 1e-4, "tol": 0.0, "n_iter_no_change": 10**6, "random_state": 0}


def _fit(estimator, X, y):
    def work():
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            estimator.fit(X, y)

    return work


def _ours(dtype):
    def factory(problem, X, y):
        cls = TwoLayerClassifier if problem.task == "classification" else TwoLayerRegressor
        estimator = cls(
            problem.hidden_size,
            batch_size=problem.batch_size,
            max_iter=problem.epochs,
            dtype=dtype,
            standardize=problem.standardize,
            store_posterior=False,  # the others have no error bars to compute
            **ADAM,
        )
        return _fit(estimator, X, y)

    return factory


def _sklearn(problem, X, y):
    cls = MLPClassifier if problem.task == "classification" else MLPRegressor
    estimator = cls(
        hidden_layer_sizes=(problem.hidden_size,),
        batch_size=problem.batch_size,
        max_iter=problem.epochs,
        **ADAM,
    )
    return _fit(estimator, X, y)


def _null(problem, X, y):
    """Does nothing: what it takes is what the harness costs."""
    return lambda: None


def _products(dtype):
    """The five matrix products of each step and nothing else: the floor."""

    def factory(problem, X, y):
        n_rows, n_features = X.shape
        n_outputs = _n_outputs(problem, y)
        batch, hidden = problem.batch_size, problem.hidden_size
        rows = X[:batch].astype(dtype)
        W1, W2 = np.zeros((n_features, hidden), dtype), np.zeros((hidden, n_outputs), dtype)
        A1, Z2 = np.ones((batch, hidden), dtype), np.ones((batch, n_outputs), dtype)
        out1, out2 = np.empty_like(W1), np.empty_like(W2)

        def work():
            for _ in range(problem.epochs * -(-n_rows // batch)):
                if sparse.issparse(rows):
                    rows @ W1
                    rows.T @ A1
                else:
                    np.dot(rows, W1, out=A1)
                    np.dot(rows.T, A1, out=out1)
                np.dot(A1, W2, out=Z2)
                np.dot(A1.T, Z2, out=out2)
                np.dot(Z2, W2.T, out=A1)

        return work

    return factory


def _n_outputs(problem, y):
    n_classes = len(np.unique(y)) if problem.task == "classification" else 1
    return n_classes if n_classes > 2 else 1


def _torch(compiled):
    def factory(problem, X, y):
        try:
            import torch
        except ImportError:
            return None
        if sparse.issparse(X):
            return None
        torch.set_num_threads(1)
        n_outputs = _n_outputs(problem, y)
        inputs = torch.from_numpy(X.astype(np.float32))
        dtype = torch.int64 if n_outputs > 1 else torch.float32
        targets = torch.from_numpy(np.asarray(y)).to(dtype)
        if n_outputs == 1:
            targets = targets[:, None]
        losses = {"regression": torch.nn.MSELoss(), 1: torch.nn.BCEWithLogitsLoss()}
        loss = losses.get(problem.task) or losses.get(n_outputs) or torch.nn.CrossEntropyLoss()

        def work():
            _train_torch(torch, problem, inputs, targets, n_outputs, loss, compiled)

        return work

    return factory


def _train_torch(torch, problem, inputs, targets, n_outputs, loss, compiled):
    torch.manual_seed(0)
    network = torch.nn.Sequential(
        torch.nn.Linear(inputs.shape[1], problem.hidden_size),
        torch.nn.ReLU(),
        torch.nn.Linear(problem.hidden_size, n_outputs),
    )
    forward = torch.compile(network) if compiled else network
    optimizer = torch.optim.Adam(network.parameters(), fused=True)
    for _ in range(problem.epochs):
        for rows in torch.randperm(len(inputs)).split(problem.batch_size):
            optimizer.zero_grad(set_to_none=True)
            loss(forward(inputs[rows]), targets[rows]).backward()
            optimizer.step()


CONTENDERS = {
    "ours float64": _ours("float64"),
    "ours float32": _ours("float32"),
    "scikit-learn": _sklearn,
    "torch": _torch(compiled=False),
    "products float64": _products(np.float64),
    "products float32": _products(np.float32),
    "null": _null,
}
if os.environ.get("TORCH_COMPILE"):
    CONTENDERS["torch compiled"] = _torch(compiled=True)
