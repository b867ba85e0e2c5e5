"""The map of covered parts of a picture gives the same answers as comparing all pairs of rectangles."""

import numpy as np
import pytest

from nnviz3d.render import cover_map
from nnviz3d.render.cover_map import CoverMap, overlap


def rectangles(random, count, whole):
    low = random.uniform(-40, 300, (count, 2))
    found = np.concatenate([low, low + random.uniform(0, 60, (count, 2))], axis=1)
    found = np.round(found) if whole else found
    found[::9, 2:] = found[::9, :2]  # without area
    found[::11, 0] = np.nan
    return found


@pytest.mark.parametrize("whole", [True, False])
@pytest.mark.parametrize("count", [0, 1, 30, 400])
@pytest.mark.parametrize("few", [0, 200])
def test_answers_are_those_of_all_pairs(whole, count, few, monkeypatch):
    monkeypatch.setattr(cover_map, "_FEW", few)
    random = np.random.default_rng(count)
    for _ in range(20):
        rects = rectangles(random, count, whole)
        asked = rectangles(random, 200, whole)
        asked = asked[(asked[:, :2] >= (-10, 0)).all(axis=1) & (asked[:, 2:] <= (280, 250)).all(axis=1)]
        asked = asked[(asked[:, :2] < asked[:, 2:]).all(axis=1)]
        some = rects[np.isfinite(rects).all(axis=1) & (rects[:, :2] < rects[:, 2:]).all(axis=1)]
        expected = overlap(asked, some).any(axis=1)
        found = CoverMap(rects, (-10.0, 0.0), (280.0, 250.0)).overlap(asked)
        assert np.array_equal(found, expected)
    assert count != 30 or 0 < expected.sum() < len(expected)
