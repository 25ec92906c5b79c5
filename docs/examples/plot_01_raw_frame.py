"""
A raw frame: categories and missing values
==========================================

Most tables come with words in some columns and holes in others. The usual answer is a pipeline: an
encoder for the words, an imputer for the holes, a scaler for the network behind them. Here there is
none. The frame goes in as it is, and the estimator reads from the dtypes what each column holds.
"""

# %%
# The table
# ---------
# The diabetes data that come with scikit-learn, in the units of the laboratory. Sex becomes a
# category, and age groups in words join the table; then we make one blood value in five, and one
# body mass index in ten, go missing, as happens when samples get lost.

import numpy as np
import pandas as pd
from sklearn.datasets import load_diabetes

X, y = load_diabetes(return_X_y=True, as_frame=True, scaled=False)
X["sex"] = X["sex"].map({1: "female", 2: "male"}).astype("category")
X["age group"] = pd.cut(X.pop("age"), [0, 35, 50, 65, 120]).astype(str).astype("category")

rng = np.random.RandomState(0)
for column in ("s1", "s2", "s3", "s4", "s5", "s6"):
    X.loc[rng.uniform(size=len(X)) < 0.2, column] = np.nan
X.loc[rng.uniform(size=len(X)) < 0.1, "bmi"] = np.nan
print(X.head(6).to_string())
print()
print(X.dtypes.to_string())

# %%
# The model
# ---------
# One line. Both categories become one column for each level, all levels of a category sharing one
# prior, so that rare levels are drawn to the mean. A missing number becomes the mean of its column
# and a one in an extra column that says "missing", because that something is missing often tells
# something, too.

from sklearn_twolayer import TwoLayerRegressor

model = TwoLayerRegressor(random_state=0).fit(X, y)
print("\n".join(model.encoded_feature_names_[:8]))
print(f"... {len(model.encoded_feature_names_)} encoded columns in all")

# %%
# Prediction takes the same raw rows. A level that training has never met is no error: it counts as
# the mean of all levels, and the error bar knows that.

row = pd.DataFrame([X.iloc[0]]).astype(X.dtypes)
stranger = row.assign(sex="not told")
for name, one in (("as in the table", row), ("with a new level", stranger)):
    prediction, deviation = model.predict(one, return_std=True)
    print(f"{name:17s} {prediction[0]:.0f} give or take {deviation[0]:.0f}")

# %%
# Against the usual pipelines
# ---------------------------
# What does the convenience cost? We compare, by cross-validation in three folds, with a ridge
# regression, a random forest and a multilayer perceptron behind the usual encoder, imputer and
# scaler.

import matplotlib.pyplot as plt
from sklearn.compose import make_column_selector, make_column_transformer
from sklearn.ensemble import RandomForestRegressor
from sklearn.impute import SimpleImputer
from sklearn.linear_model import RidgeCV
from sklearn.model_selection import KFold, cross_val_score
from sklearn.neural_network import MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler


def prepared(regressor):
    """Encoder, imputer and scaler in front of a regressor."""
    numbers = make_pipeline(SimpleImputer(add_indicator=True), StandardScaler())
    columns = make_column_transformer(
        (OneHotEncoder(handle_unknown="ignore"), make_column_selector(dtype_include="category")),
        (numbers, make_column_selector(dtype_include="number")),
    )
    return make_pipeline(columns, regressor)


mlp = MLPRegressor(early_stopping=True, learning_rate_init=0.01, max_iter=500, random_state=0)
contenders = {
    "TwoLayerRegressor, raw": TwoLayerRegressor(random_state=0),
    "pipeline + RidgeCV": prepared(RidgeCV(np.logspace(-2, 3, 11))),
    "pipeline + MLPRegressor": prepared(mlp),
    "pipeline + forest": prepared(RandomForestRegressor(50, random_state=0)),
}
folds = KFold(3, shuffle=True, random_state=0)
scores = {name: cross_val_score(one, X, y, cv=folds) for name, one in contenders.items()}
for name, score in scores.items():
    print(f"{name:25s} R2 {score.mean():.3f}, folds from {score.min():.2f} to {score.max():.2f}")

# %%
# In the picture each dot is one fold and each bar the mean. On a table this small and this nearly
# linear a well prepared ridge regression is hard to beat; what you see is that the raw frame gets
# there with nothing prepared and nothing tuned.

fig, ax = plt.subplots(layout="constrained", figsize=(6.4, 3.2))
names = list(scores)[::-1]
for place, name in enumerate(names):
    ax.barh(place, scores[name].mean(), color="tab:blue" if "TwoLayer" in name else "lightgrey")
    ax.plot(scores[name], np.full(len(scores[name]), place), "o", color="black", markersize=4)
ax.set_yticks(range(len(names)), names)
ax.set(xlabel="R2 on rows held out", title="Three folds of the diabetes table with holes")
ax.axvline(0, color="black", linewidth=0.8)

# %%
# Which columns carry the prediction? The bars are for the columns of the frame, not for the encoded
# ones: a category is one bar.

from sklearn_twolayer import ImportanceDisplay

ImportanceDisplay.from_estimator(model, X)
plt.show()

# %%
# **Take away.** Make text a ``category`` (plain strings work, too), leave holes alone, call
# ``fit``. Integer codes that are really categories should get the dtype ``category``, or be named
# in ``categorical_features``: a number that has no order misleads every network.
