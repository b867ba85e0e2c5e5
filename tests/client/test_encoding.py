"""Draw lists are encoded whole: what a client gets back equals what the scene gave, and nothing is sent twice."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from nnviz3d.client.encoding import Encoder
from nnviz3d.scene.colors import colormap
from nnviz3d.scene.primitives import Box, DrawList, Label, Labels, Lines, Voxels
from nnviz3d.scene.scene import Scene
from tests.support.decoder import Decoder
from tests.support.gallery import READY
from tests.support.scenes import bundled_scene


@pytest.mark.parametrize("name", READY)
def test_encoder_keeps_every_field_of_a_bundled_scene_at_any_time(name: str) -> None:
    scene: Scene = bundled_scene(name)
    encoder, decoder = Encoder(), Decoder()
    for t in np.linspace(0, scene.duration, 4):
        what = scene.at(float(t))
        frame = encoder.frame(what)
        decoder.add(encoder)
        decoder.frame(frame, what)


def block(**changes: Any) -> Voxels:
    values = np.arange(24, dtype=np.float32).reshape(2, 3, 4)
    cells = Voxels("a", values, (0, 0, 0), (1, 1, 1), colormap("inferno"), (0.0, 23.0))
    return replace(cells, **changes)


def test_encoder_sends_equal_arrays_and_records_once() -> None:
    one, encoder = block(), Encoder()
    first = encoder.frame(DrawList((one,)))
    assert len(encoder.take().arrays) == 2  # the values and the colour map
    again = encoder.frame(DrawList((replace(one, values=one.values.copy()),)))
    added = encoder.take()
    assert first == again
    assert not added.arrays
    assert not added.records


def test_arrays_that_differ_in_one_number_are_both_sent() -> None:
    encoder = Encoder()
    values = np.zeros((3, 100, 100), dtype=np.float32)
    seen = set()
    for place in (None, 0, 1, 12_345, 29_999):
        changed = values.copy()
        if place is not None:
            changed.reshape(-1)[place] = 1.0
        frame = encoder.frame(DrawList((block(values=changed),)))
        found = [one for one in encoder.lacking(frame, set(), set()).arrays.values() if one.size == values.size]
        assert len(found) == 1
        assert np.array_equal(found[0], changed.T)
        seen.update(index for index, one in encoder.lacking(frame, set(), set()).arrays.items() if one is found[0])
        assert encoder.frame(DrawList((block(values=changed.copy()),))) == frame, "an equal array is known"
    assert len(seen) == 5


def test_cells_are_not_copied_before_they_are_sent() -> None:
    encoder, values = Encoder(), np.arange(24, dtype=np.float32).reshape(4, 3, 2)[:, ::-1].T
    frame = encoder.frame(DrawList((block(values=values),)))
    (cells,) = (one for one in encoder.lacking(frame, set(), set()).arrays.values() if one.size == values.size)
    assert np.shares_memory(cells, values)
    assert np.array_equal(cells, values.T)
    assert all(one.flags.c_contiguous for one in encoder.take().arrays)


def test_equal_cells_are_known_whatever_their_order_in_memory() -> None:
    encoder, values = Encoder(), np.arange(24, dtype=np.float32).reshape(2, 3, 4)
    values[0, 0, 0] = np.nan
    frame = encoder.frame(DrawList((block(values=values),)))
    assert encoder.frame(DrawList((block(values=np.asfortranarray(values)),))) == frame


def test_encoder_sends_only_the_changed_fields_of_a_primitive() -> None:
    one, encoder = block(), Encoder()
    encoder.frame(DrawList((one,)))
    encoder.take()
    encoder.frame(DrawList((replace(one, reveal=0.5),)))
    (record,) = encoder.take().records
    assert record.keys() == {"like", "reveal"}


def test_encoder_writes_numbers_that_json_lacks_as_words() -> None:
    encoder, decoder = Encoder(), Decoder()
    what = DrawList((block(limits=(float("-inf"), float("nan")), threshold=float("inf")),))
    frame = encoder.frame(what)
    decoder.add(encoder)
    decoder.frame(frame, what)


def test_encoder_forgets_what_no_kept_frame_needs() -> None:
    encoder = Encoder()
    old = encoder.frame(DrawList((block(), Box("frame", (0, 0, 0), (1, 1, 1), (1, 0, 0)))))
    new = encoder.frame(DrawList((block(values=np.ones((2, 3, 4), np.float32)),)))
    encoder.take()
    gone = encoder.forget([new])
    assert set(gone.records) == set(old["primitives"])
    assert len(gone.arrays) == 1
    assert encoder.primitive_of(old["primitives"][0]) is None
    later = encoder.frame(DrawList((block(),)))
    assert not set(later["primitives"]) & set(gone.records)
    assert [array.shape for array in encoder.take().arrays] == [(4, 3, 2)]


def test_encoder_returns_the_primitive_of_a_record() -> None:
    encoder, label = Encoder(), Label((0, 0, 0), ("a",))
    lines = Lines("l", np.zeros((1, 2, 3), np.float32), np.ones((1, 4), np.float32))
    frame = encoder.frame(DrawList((lines, Labels("names", (label,)))))
    assert encoder.primitive_of(frame["primitives"][0]) is lines
    assert encoder.primitive_of(99) is None


@pytest.mark.parametrize("values", [np.array([2**31]), np.array([-(2**31) - 1])])
def test_encoder_refuses_integers_beyond_32_bits(values: np.ndarray) -> None:
    with pytest.raises(ValueError, match="32 bits"):
        Encoder().array(values)
