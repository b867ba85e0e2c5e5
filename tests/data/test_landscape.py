"""Options of a loss landscape are checked, and a damaged landscape is refused."""

from __future__ import annotations

import numpy as np
import pytest

from nnviz3d.capability_options import CapabilityOptions
from nnviz3d.data.capabilities.landscape import LandscapeOptions, LossLandscape, read_landscape, write_landscape
from nnviz3d.data.capture import Capture
from nnviz3d.errors import CaptureError, UserError
from tests.support import captures


def found(**changes) -> LossLandscape:
    along, across = np.linspace(-1, 1, 5), np.linspace(-2, 2, 3)
    values = (along**2 + across[:, np.newaxis] ** 2 + 1).astype(np.float32)
    none = np.empty(0)
    given = {
        "loss": "mse", "dataset": "x.npy", "count": 70, "along": along, "across": across, "values": values, "shares": none,
        "steps": np.empty(0, np.int64), "path": np.empty((0, 2)), "path_losses": np.empty(0, np.float32), "distances": none,
        "settings": {"resolution": 5},
    }  # fmt: skip
    return LossLandscape(**{**given, **changes})


def written(folder, **changes) -> Capture:
    return captures.write(
        folder / "run.zarr",
        captures.small_graph(),
        captures.small_values(),
        also=[lambda writer: write_landscape(writer, found(**changes))],
    )


def test_landscape_is_read_as_it_was_written(tmp_path):
    read = read_landscape(written(tmp_path).stored)
    for name in ("along", "across", "values", "shares", "steps", "path", "path_losses", "distances"):
        assert np.array_equal(getattr(read, name), getattr(found(), name))
    assert (read.loss, read.dataset, read.count, read.settings) == ("mse", "x.npy", 70, {"resolution": 5})
    assert read.center == 1


def test_capture_without_a_landscape_has_none(small_capture):
    assert read_landscape(small_capture.stored) is None


@pytest.mark.parametrize(
    "changes",
    [
        {"values": np.ones((2, 5), np.float32)},
        {"along": np.linspace(1, -1, 5)},
        {"along": np.full(5, np.nan)},
        {"shares": np.ones(3)},
        {"steps": np.arange(4)},
        {"path": np.ones((2, 2))},
        {"count": "many"},
    ],
    ids=lambda changes: next(iter(changes)),
)
def test_arrays_that_do_not_fit_together_are_damage(tmp_path, changes):
    capture = written(tmp_path, **changes)
    with pytest.raises(CaptureError, match="landscape"):
        read_landscape(capture.stored)


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"labels": "y.npy"}, "--labels goes with --landscape"),
        ({"resolution": 9}, "--resolution goes with --landscape"),
        ({"landscape": True, "resolution": 8}, "--resolution is an odd number from 3 to 501; got 8"),
        ({"landscape": True, "resolution": 1}, "--resolution is an odd number from 3 to 501; got 1"),
        ({"landscape": True, "extent": 0.0}, "--extent is more than 0; got 0"),
        ({"landscape": True, "extent": float("nan")}, "--extent is more than 0; got nan"),
    ],
)
def test_wrong_option_is_one_sentence(options, sentence):
    with pytest.raises(UserError, match=sentence):
        CapabilityOptions(**options).wanted()


def test_options_become_the_settings_of_the_request():
    wanted = CapabilityOptions(landscape=True, resolution=9, extent=0.5, dataset=("x.npy",)).wanted()
    assert wanted.landscape
    assert wanted.landscape_options == LandscapeOptions(resolution=9, extent=0.5)
    assert CapabilityOptions(landscape=True).wanted().landscape_options == LandscapeOptions()
