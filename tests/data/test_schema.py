"""Paths and chunk sizes of stored arrays."""

import math

import pytest

from nnviz3d.data.storage import schema


def test_stored_paths_differ_if_one_path_is_anothers_prefix():
    assert schema.activation_path("block") == "activations/block/@0/0"
    assert schema.activation_path("block/conv@2", 1) == "activations/block/conv/@2/1"
    assert schema.connection_path("a/b", "c@1") == "connections/a/b/@0/c/@1"
    assert schema.split_id("odd@name") == ("odd@name", 0)


@pytest.mark.parametrize(
    "shape",
    [(1, 224, 224, 64), (1000, 10), (3, 4096, 4096), (2, 10_000_000), (5,), (1, 1, 3_000_000, 7), (4, 0, 3), (2,)],
)
def test_large_chunk_is_at_most_one_sample_and_within_the_limit(shape):
    chunks = schema.chunks_for(shape, 4)
    assert len(chunks) == len(shape)
    assert all(c >= 1 for c in chunks)
    assert math.prod(chunks) * 4 <= schema.CHUNK_BYTES
    if math.prod(shape[1:]) * 4 > schema.SHARED_BYTES:
        assert chunks[0] == 1


def test_small_samples_share_a_chunk():
    assert schema.chunks_for((1000, 10), 4) == (1000, 10)
