"""Search for dead channels: what counts as 0, which layers are looked at, and how the work is divided."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from nnviz3d.data.capture_at_step import at_step
from nnviz3d.data.graph import ModelGraph
from nnviz3d.scene.derived.channel_search import ChannelSearch, active_channels
from tests.support import captures, trainings


def rectified(*names: str) -> ModelGraph:
    """Return the small graph in which some layers end with a ReLU."""
    graph = captures.small_graph()
    nodes = (replace(node, activation="relu") if node.id in names else node for node in graph)
    return replace(graph, nodes=tuple(nodes))


def dead_values() -> dict[str, np.ndarray]:
    """Return numbers of three samples: channel 2 of ``conv`` is 0 for all, channel 1 for the first, 3 is NaN once."""
    values = captures.small_values()
    values["conv"][..., 2] = 0
    values["conv"][0, ..., 1] = 0
    values["conv"][..., 3] = 0
    values["conv"][2, 4, 5, 3] = np.nan
    values["dense"] = np.maximum(values["dense"], 0)
    values["dense"][:, [4, 19]] = 0
    return values


@pytest.fixture(scope="module")
def capture(tmp_path_factory):
    path = tmp_path_factory.mktemp("dead") / "dead.zarr"
    return captures.write(path, rectified("conv", "dense"), dead_values())


def searched(capture, samples) -> ChannelSearch:
    search = ChannelSearch(capture, samples)
    search.work(1e9)
    assert search.done
    return search


def test_channel_is_dead_only_if_all_its_numbers_of_all_samples_are_0(capture):
    values = dead_values()
    found = {one.layer: one for one in searched(capture, range(3)).found}
    assert list(found) == ["conv", "dense"], "only these have an activation that can be 0"
    for name, one in found.items():
        zero = (values[name] == 0).reshape(-1, values[name].shape[-1]).all(axis=0)
        assert one.channels == tuple(np.flatnonzero(zero).tolist())
        assert (one.total, one.count, one.short, one.words) == (len(zero), 3, "dead", "0 for all 3 samples")
    assert found["conv"].channels == (2,), "NaN is not 0"


def test_single_sample_is_named_and_no_channel_is_called_dead(capture):
    found = searched(capture, [0]).found[0]
    assert (found.channels, found.short, found.words) == ((1, 2, 3), "zero", "0 everywhere for sample 0")


def test_layer_that_was_not_kept_is_named_and_not_called_alive(tmp_path):
    values = dead_values()
    del values["dense"]
    search = searched(captures.write(tmp_path / "few.zarr", rectified("conv", "dense"), values), range(3))
    assert [one.layer for one in search.found] == ["conv"]
    assert search.left_out == ("dense",)


def test_work_can_be_divided_and_says_how_much_is_done(capture):
    search, pieces, shares = ChannelSearch(capture, range(3)), 0, [0.0]
    while not search.done:
        search.work(-1.0)  # one reading at a time
        pieces += 1
        shares.append(search.share)
    assert pieces == 1 + 6, "each sample of each layer is read once"
    assert shares == sorted(shares)
    assert shares[-1] == 1
    assert search.found == searched(capture, range(3)).found


def test_layer_is_read_only_until_each_channel_was_active(tmp_path):
    values = captures.small_values()
    values["conv"] += 0.1
    reads: list[tuple[str, int]] = []
    capture = captures.write(tmp_path / "alive.zarr", rectified("conv"), values)
    read = capture.activation
    capture.activation = lambda node, sample=0, output=0: (reads.append((node, sample)), read(node, sample, output))[1]
    assert searched(capture, range(3)).found[0].channels == ()
    assert reads == [("conv", 0)]


@pytest.mark.parametrize(
    ("axes", "shape"), [(("channel", "row", "column"), (3, 4, 5)), (("row", "column", "channel"), (4, 5, 3))]
)
def test_channels_stand_on_the_axis_that_the_layer_names(axes, shape):
    values = np.zeros(shape, np.float32)
    values[(1, 2, 3) if axes[0] == "channel" else (2, 3, 1)] = -1e-30
    assert active_channels(values, axes).tolist() == [False, True, False]


def test_step_of_a_training_is_looked_at_and_named(tmp_path):
    then = at_step(trainings.small_training(tmp_path / "t.zarr"), trainings.STEPS[1])
    found = searched(then, range(2)).found
    assert found
    for one in found:
        values = then.activations(one.layer).values
        zero = (values == 0).reshape(-1, values.shape[-1]).all(axis=0)
        assert one.channels == tuple(np.flatnonzero(zero).tolist())
        assert one.words == f"0 for all 2 samples after step {then.step_records.probe_step:,}"
