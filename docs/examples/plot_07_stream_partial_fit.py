"""
Learning from a stream with partial_fit
=======================================

Some tables never fit into memory, and some never end: sensors, clicks, transactions.
``partial_fit`` takes them chunk by chunk. The network goes on from where it is, with its
optimiser, its stream of random numbers and its regularisation, which grows no stronger or weaker
with the size of the chunks.
"""

# %%
# A stream of chunks
# ------------------
# Three kinds of signals, drawn anew for each chunk. We test *before* we train on each chunk: every
# row is first a question and then a lesson, so that the score is honest without a test set.
#
# Nobody knows in advance how long a stream will be, so nothing can be planned by its length: here
# you choose ``alpha``, the size of mini-batches and the learning rate. Each call of
# ``partial_fit`` is one pass over its chunk, with as many steps as it has mini-batches; the
# default of 200 rows and a rate of 0.001 is for streams that are far longer than this one.

import matplotlib.pyplot as plt
import numpy as np
from sklearn.linear_model import SGDClassifier
from sklearn.metrics import log_loss
from sklearn.preprocessing import StandardScaler

from sklearn_twolayer import TwoLayerClassifier

rng = np.random.RandomState(0)


def chunk(n=200, turned=False):
    """Rings in a plane, in units as different as metres and milligrams."""
    label = rng.randint(3, size=n)
    radius = 1 + label + 0.35 * rng.randn(n)
    angle = rng.uniform(0, 2 * np.pi, n)
    X = np.column_stack([1000 * radius * np.cos(angle), 0.01 * radius * np.sin(angle)])
    return X, (label + turned) % 3


network = TwoLayerClassifier(
    30, solver="adam", alpha=1.0, learning_rate_init=0.02, batch_size=20, random_state=0
)
linear = SGDClassifier(loss="log_loss", learning_rate="constant", eta0=0.01, random_state=0)
scaler = StandardScaler()
losses = {"TwoLayerClassifier": [], "SGDClassifier": []}
for number in range(60):
    X, y = chunk()
    scaled = scaler.partial_fit(X).transform(X)
    if number:
        losses["TwoLayerClassifier"].append(log_loss(y, network.predict_proba(X)))
        losses["SGDClassifier"].append(log_loss(y, linear.predict_proba(scaled)))
    network.partial_fit(X, y, classes=[0, 1, 2])
    linear.partial_fit(scaled, y, classes=[0, 1, 2])

for number in (1, 5, 20, 59):
    ours, theirs = (values[number - 1] for values in losses.values())
    print(f"chunk {number + 1:2d}: network {ours:.3f}, linear model {theirs:.3f}")
print(f"rows seen {network.t_}, chance would have a loss of {np.log(3):.3f}")

# %%
# The network scales its columns itself, by the first chunk, so nothing has to be fitted in front of
# it. A linear model cannot tell rings apart, however many it sees.

fig, ax = plt.subplots(layout="constrained")
ax.plot(range(2, 61), losses["TwoLayerClassifier"], color="tab:blue", label="TwoLayerClassifier")
ax.plot(range(2, 61), losses["SGDClassifier"], "--", color="tab:orange", label="SGDClassifier")
ax.axhline(np.log(3), color="black", linestyle=":", label="chance")
ax.set(xlabel="chunk of 200 rows", ylabel="log loss before training on it", ylim=(0, 1.6))
ax.legend()

# %%
# What has been learnt so far can be looked at any time:

side = np.linspace(-4.5, 4.5, 200)
mesh = np.stack(np.meshgrid(1000 * side, 0.01 * side), axis=-1).reshape(-1, 2)
labels = network.predict(mesh).reshape(200, 200)
fig, ax = plt.subplots(layout="constrained", figsize=(5, 4.4))
ax.contourf(
    1000 * side, 0.01 * side, labels, levels=[-0.5, 0.5, 1.5, 2.5], cmap="cividis", alpha=0.5
)
X, y = chunk(300)
for label, marker in enumerate("o^s"):
    ax.plot(*X[y == label].T, marker, color="black", markersize=3, label=f"kind {label}")
ax.set(xlabel="first column", ylabel="second column", title=f"after {network.t_} rows")
ax.set_xticks([-4000, -2000, 0, 2000, 4000])
ax.legend(loc="upper right")

# %%
# When the world changes
# ----------------------
# Then the meaning of the rings turns around. A network that goes on learning recovers; how soon
# is a matter of the learning rate, so watch the loss and do not take the past for granted.

recovery = []
for _ in range(60):
    X, y = chunk(turned=True)
    recovery.append(log_loss(y, network.predict_proba(X)))
    network.partial_fit(X, y)
for number in (1, 10, 30, 60):
    print(f"chunk {number:2d} after the change: {recovery[number - 1]:.3f}")

fig, ax = plt.subplots(layout="constrained", figsize=(6.4, 3.2))
ax.plot([*losses["TwoLayerClassifier"], *recovery], color="tab:blue")
ax.axvline(59, color="black", linestyle=":")
ax.annotate("the world changes", (59, max(recovery)), xytext=(7, -4), textcoords="offset points")
ax.set(xlabel="chunk", ylabel="log loss", yscale="log")
ax.set_yticks([0.2, 0.5, 1, 2, 5, 10], ["0.2", "0.5", "1", "2", "5", "10"])
ax.minorticks_off()
plt.show()

# %%
# **Take away.** ``partial_fit`` with ``classes`` in the first call; any mini-batch solver. The
# first chunk decides how columns are scaled and which levels a category has, so make it a typical
# one.
