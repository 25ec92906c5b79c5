import pytest
from dask import delayed

from sklearn_twolayer.distributed.partitions import Partitions


def given(*arguments):
    """The last of what a task gets."""
    return arguments[-1]


@pytest.mark.parametrize("change", [Partitions.transform, Partitions.replace])
def test_a_client_need_not_be_the_default_one(change, client):
    partitions = change(Partitions.compute(client, [delayed(k) for k in range(3)]), given, 7)
    assert partitions.map(given) == [7, 7, 7]
    partitions.release()
