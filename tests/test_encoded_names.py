"""Names of encoded columns are distinct, whatever columns and levels are called."""

import pandas as pd

from sklearn_twolayer import TwoLayerRegressor


def names_for(X):
    y = range(len(X))
    fitted = TwoLayerRegressor(2, alpha=1.0, n_members=1, random_state=0).fit(X, y)
    assert len(fitted.encoded_feature_names_) == len(fitted.coefs_[0])
    return fitted.encoded_feature_names_.tolist()


def test_a_column_and_a_level_may_make_the_same_name():
    X = pd.DataFrame({"a": ["b", "b_2", "b", "b_2"], "a_b": [1.0, 2.0, 3.0, 4.0]})
    assert sorted(names_for(X)) == ["a_b", "a_b_2", "a_b_3"]


def test_names_that_are_distinct_stay():
    X = pd.DataFrame({"a": ["b", "c", "b", "c"], "b": [1.0, 2.0, None, 4.0]})
    assert sorted(names_for(X)) == ["a_b", "a_c", "b", "missingindicator_b"]


def test_columns_of_the_same_name_are_told_apart():
    X = pd.DataFrame([[1.0, 2.0], [3.0, 5.0], [5.0, 4.0]], columns=["a", "a"])
    # from 1.9 on, scikit-learn takes such names for none
    assert names_for(X) in (["a", "a_2"], ["x0", "x1"])
