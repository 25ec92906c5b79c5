"""Pickles and the versions that wrote them."""

import warnings

from sklearn.exceptions import InconsistentVersionWarning

from ._version import __version__

KEY = "_sklearn_twolayer_version"
"""In the state of a pickle, and no attribute of an estimator."""


class OtherVersionWarning(InconsistentVersionWarning):
    """scikit-learn's warning, about pickles of this package."""

    def __str__(self):
        return (
            f"{self.estimator_name} was pickled by {self.original_sklearn_version} of "
            f"sklearn-twolayer and is read by version {self.current_sklearn_version}: what it "
            "predicts may be another thing, or fail. Fit it anew, or read it with the version that "
            "wrote it and keep it as text (sklearn_twolayer.export.to_json)"
        )


class PicklesMixin:
    """Writes the version into a pickle, and compares it when that is read."""

    def __getstate__(self):
        return {**super().__getstate__(), KEY: __version__}

    def __setstate__(self, state):
        state = dict(state)
        version = state.pop(KEY, None)
        if version != __version__:
            warning = OtherVersionWarning(
                estimator_name=type(self).__name__,
                current_sklearn_version=__version__,
                original_sklearn_version="an unknown version"
                if version is None
                else f"version {version}",
            )
            warnings.warn(warning, stacklevel=2)
        super().__setstate__(state)
