import numpy as np
import pytest

from sklearn_twolayer import TwoLayerClassifier, TwoLayerRegressor


def table(n_rows):
    rng = np.random.RandomState(0)
    X = rng.standard_normal((n_rows, 3))
    return X, np.sin(2 * X[:, 0]) + X[:, 1] + 0.1 * rng.standard_normal(n_rows)


def test_each_network_of_an_average_is_told_of():
    X, y = table(160)
    model = TwoLayerRegressor(random_state=0).fit(X, y)
    members = model.members_
    assert len(members) == model.n_members_ > 1
    assert sum(member["weight"] for member in members) == pytest.approx(1)
    exact = [member for member in members if member["solver"] == "lm"]
    assert {member["posterior"] for member in exact} == {"full"}
    others = [member for member in members if member["solver"] != "lm"]
    assert {member["posterior"] for member in others} <= {"kronecker"}
    assert {member["encoding"] for member in others} <= {"piecewise_linear"}
    # what is told of one is that of the network that counts most
    leading = max(members, key=lambda member: member["weight"])
    told = {name: getattr(model, name + "_") for name in ("solver", "hidden_size", "skip")}
    assert told == {name: leading[name] for name in told}


@pytest.mark.parametrize(
    ("options", "posterior"),
    [
        ({"solver": "lm"}, "full"),
        ({"solver": "adam", "max_iter": 5}, "kronecker"),
        ({"solver": "lbfgs", "alpha": 1.0}, "kronecker"),
        ({"solver": "adam", "max_iter": 5, "store_posterior": False}, None),
    ],
)
def test_it_says_how_a_posterior_was_made(options, posterior):
    X, y = table(60)
    model = TwoLayerClassifier(hidden_size=3, random_state=0, **options).fit(X, y > 0)
    (member,) = model.members_
    assert (member["posterior"], member["weight"]) == (posterior, 1.0)
    assert (member["hidden_size"], member["solver"]) == (3, options["solver"])


def test_there_are_none_before_a_fit():
    assert not hasattr(TwoLayerRegressor(), "members_")
