"""
Counts with an exposure: insurance claims
=========================================

How many claims will a contract have in a year? Contracts are watched for different times, most
have no claim at all, and effects multiply: a young driver in a strong car is not a sum of two
worries but a product. Squared errors are the wrong tool for this. The Poisson loss is the right
one.
"""

# %%
# The data
# --------
# Six thousand contracts. Each has an age of the driver, a power of the car and a region, and was
# watched for between a month and a year. We know the true rate, which a real portfolio never
# tells.

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from sklearn.model_selection import train_test_split

from sklearn_twolayer import TwoLayerRegressor

rng = np.random.RandomState(0)
n = 6000
X = pd.DataFrame({"age": rng.uniform(18, 85, n), "power": rng.gamma(6, 15, n).clip(30, 250)})
X["region"] = pd.Categorical(rng.choice(["north", "south", "city"], n, p=[0.5, 0.3, 0.2]))


def true_rate(X):
    """Claims a year: young and old drivers have more, strong cars and the city, too."""
    age = 1.2 * np.exp(-(X["age"] - 18) / 10) + 0.8 * ((X["age"] - 50).clip(0) / 35) ** 2
    region = X["region"].map({"north": 0.0, "south": 0.2, "city": 0.6}).astype(float)
    return (0.4 * np.exp(age + 0.006 * (X["power"] - 90) + region)).to_numpy()


years = rng.uniform(1 / 12, 1, n)
claims = rng.poisson(true_rate(X) * years)
counts = np.bincount(claims)
print("contracts by number of claims:", dict(enumerate(counts.tolist())))

# %%
# The model
# ---------
# The target is the *rate*, claims divided by years, and the years are the ``sample_weight``: a
# month without a claim says a twelfth of what a year without one says. This is the same likelihood
# as counts with an offset, and every estimator with weights can say it.

rate = claims / years
parts = train_test_split(X, rate, years, claims, random_state=0)
X_train, X_test, rate_train, rate_test, years_train, years_test, _, claims_test = parts

model = TwoLayerRegressor(loss="poisson", random_state=0)
model.fit(X_train, rate_train, sample_weight=years_train)
print(f"smallest prediction: {model.predict(X_test).min():.3f} claims a year")
dispersion = model.dispersion_ * years_train.mean()
print(f"dispersion of a year: {dispersion:.2f} (1 for Poisson counts)")

# %%
# Predictions are above zero by construction, and the dispersion checks the assumption: had claims
# come in clusters, it would be well above one, and error bars would widen accordingly. Weights
# count relative to their mean, so ``dispersion_`` is that of a contract of mean length; times that
# length it is that of a year.
#
# Against a generalised linear model
# ----------------------------------
# A Poisson regression is what an actuary would begin with. It is a straight line in every column on
# the logarithmic scale, and cannot see that age works in both directions. We score by the Poisson
# deviance of contracts held out, the less the better, weighted by their years.

from sklearn.compose import make_column_transformer
from sklearn.linear_model import PoissonRegressor
from sklearn.metrics import mean_poisson_deviance
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

columns = make_column_transformer(
    (OneHotEncoder(), ["region"]), (StandardScaler(), ["age", "power"])
)
glm = make_pipeline(columns, PoissonRegressor(alpha=1e-4))
glm.fit(X_train, rate_train, poissonregressor__sample_weight=years_train)


def deviance(rates):
    """Of contracts held out, weighted by their years."""
    return mean_poisson_deviance(rate_test, rates, sample_weight=years_test)


mean = np.full(len(X_test), np.average(rate_train, weights=years_train))
predictions = {
    "the mean": mean,
    "PoissonRegressor": glm.predict(X_test),
    "TwoLayerRegressor": model.predict(X_test),
    "the truth": true_rate(X_test),
}
for name, prediction in predictions.items():
    total = np.sum(prediction * years_test)
    print(f"{name:17s} deviance {deviance(prediction):.4f}, claims in all {total:5.0f}")
print(f"{'observed':17s} {'':15s}  claims in all {claims_test.sum():5.0f}")

# %%
# The scale to read this by runs from "the mean" to "the truth": nobody can do better than the
# latter, because claims are chance. The last column checks that the total is right, which is what
# premiums are made of.
#
# What was learnt about age
# -------------------------
# Everything else at a typical value. The network has found both ends by itself; the straight line
# of the linear model has to choose between them.

ages = pd.DataFrame({"age": np.linspace(18, 85, 200), "power": X["power"].median()})
ages["region"] = pd.Categorical(["north"] * 200, categories=X["region"].cat.categories)

fig, ax = plt.subplots(layout="constrained")
ax.plot(ages["age"], true_rate(ages), color="black", linestyle=":", label="truth")
ax.plot(ages["age"], model.predict(ages), color="tab:blue", label="TwoLayerRegressor")
ax.plot(
    ages["age"], glm.predict(ages), color="tab:orange", linestyle="--", label="PoissonRegressor"
)
ax.set(xlabel="age", ylabel="claims a year", ylim=(0, None))
ax.set_title("north, median power")
ax.legend()
plt.show()

# %%
# **Take away.** Counts and rates: ``loss="poisson"`` with the exposure as ``sample_weight``.
# Amounts above zero, like the cost of a claim: ``loss="gamma"``. Their product, the yearly cost of
# a contract with its many zeros: ``loss="tweedie"``.
