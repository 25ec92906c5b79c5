"""How a fit of rows that live in Dask comes by its task."""


class FittingMixin:
    """Makes the task of a fit of Dask collections."""
