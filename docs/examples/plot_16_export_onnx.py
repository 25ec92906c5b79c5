"""
Export to ONNX: predictions without Python
==========================================

A model that has to run in a browser, a database or a C++ program cannot bring scikit-learn along.
ONNX is a format for models that many runtimes read. ``to_onnx`` writes one file that holds
everything: the reading of categories, missing values, the scaling, all networks of an average, and
the error bars.

It needs ``pip install "sklearn-twolayer[onnx]"``.
"""

# %%
# A model of a raw frame
# ----------------------
# The diabetes table with a category and some missing values, as in the first example.

import matplotlib.pyplot as plt
import numpy as np
import onnxruntime
from sklearn.datasets import load_diabetes

from sklearn_twolayer import TwoLayerRegressor
from sklearn_twolayer.export import from_json, to_json, to_onnx

X, y = load_diabetes(return_X_y=True, as_frame=True, scaled=False)
X["sex"] = X["sex"].map({1: "female", 2: "male"}).astype("category")
X.loc[::9, "bmi"] = np.nan
model = TwoLayerRegressor(random_state=0).fit(X, y)

onnx_model = to_onnx(model, return_std=True)
content = onnx_model.SerializeToString()
lean = to_onnx(model, posterior=False).SerializeToString()
print(f"{len(content) / 1024:.0f} kB with the posterior, {len(lean) / 1024:.0f} kB without")

# %%
# The file has an input for each column, by its name, and an output for what was asked for.

session = onnxruntime.InferenceSession(content)
for node in session.get_inputs()[:3]:
    print("in: ", node.name, node.type, node.shape)
for node in session.get_outputs():
    print("out:", node.name, node.type, node.shape)

# %%
# The same predictions
# --------------------
# The runtime gets columns of text and of numbers, and NaN where a number is missing. It computes in
# single precision, so that answers agree to about six digits.


def column(values):
    """One column as the model wants it: (n_rows, 1), text or float32."""
    is_text = values.dtype == "category"
    return values.to_numpy(dtype=object if is_text else np.float32)[:, None]


inputs = {name: column(X[name]) for name in X}
prediction, deviation = session.run(["prediction", "std"], inputs)
expected, expected_deviation = model.predict(X, return_std=True)
print(f"largest difference of predictions: {abs(prediction[:, 0] - expected).max():.1e}")
print(f"largest difference of deviations:  {abs(deviation[:, 0] - expected_deviation).max():.1e}")
print(f"deviation of the target itself:    {y.std():.1f}")

fig, axes = plt.subplots(1, 2, layout="constrained", figsize=(9, 4))
pairs = {"prediction": (expected, prediction), "deviation": (expected_deviation, deviation)}
for ax, (what, (ours, theirs)) in zip(axes, pairs.items(), strict=True):
    ax.axline((ours.min(), ours.min()), slope=1, color="black", linewidth=0.8)
    ax.plot(ours, theirs[:, 0], "o", color="tab:blue", markersize=4)
    ax.set(xlabel=f"{what} of scikit-learn", ylabel=f"{what} of ONNX")

# %%
# JSON, for everything else
# -------------------------
# Where there is no runtime there are numbers: ``to_json`` writes all of the model down as text
# that any language reads, and ``from_json`` makes an estimator of it again, to the last bit,
# without a pickle.

text = to_json(model)
again = from_json(text)
print(f"{len(text) / 1024:.0f} kB of text")
print("same predictions:", bool(np.array_equal(again.predict(X), expected)))
plt.show()

# %%
# **Take away.** ``to_onnx`` for serving, ``posterior=False`` if only the prediction is wanted,
# JSON for archives. Pipelines are converted by skl2onnx once
# ``sklearn_twolayer.export.register()`` has been called.
