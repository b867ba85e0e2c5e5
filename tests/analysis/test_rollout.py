"""Rollout equals the paper's formula, computed by hand."""

import numpy as np
import pytest

from nnviz3d.analysis.rollout import rollout


def test_rollout_of_two_layers_equals_the_computation_by_hand():
    first = np.array([[[1, 0], [0.5, 0.5]], [[0, 1], [0.5, 0.5]]], np.float32)  # on average (.5 .5) for both places
    second = np.array([[[0, 1], [1, 0]]], np.float32)
    # 0.5 (.5 .5; .5 .5) + 0.5 I = (.75 .25; .25 .75), and 0.5 (0 1; 1 0) + 0.5 I = (.5 .5; .5 .5)
    assert np.allclose(rollout([first]), [[0.75, 0.25], [0.25, 0.75]])
    assert np.allclose(rollout([first, second]), [[0.5, 0.5], [0.5, 0.5]])


def test_rollout_multiplies_later_layers_from_the_left():
    look_left = np.array([[[1, 0, 0], [1, 0, 0], [0, 1, 0]]], np.float32)
    look_first = np.array([[[1, 0, 0], [1, 0, 0], [1, 0, 0]]], np.float32)
    # The last place: half of it is the first place, which only ever looks at itself; half what it got from the layer
    # before, of which half came from the middle place.
    assert np.allclose(rollout([look_left, look_first])[2], [0.5, 0.25, 0.25])
    assert np.allclose(rollout([look_first, look_left])[2], [0.5, 0.25, 0.25])
    assert np.allclose(rollout([look_left, look_left])[2], [0.25, 0.5, 0.25])


def test_rows_add_up_to_one_and_a_fully_masked_token_attends_to_itself():
    rng = np.random.default_rng(3)
    layers = [rng.dirichlet(np.ones(6), size=(4, 6)).astype(np.float32) for _ in range(5)]
    assert np.allclose(rollout(layers).sum(axis=1), 1, atol=1e-6)
    masked = layers[0].copy()
    masked[:, 5] = 0
    assert np.allclose(rollout([masked])[5], [0, 0, 0, 0, 0, 1])


def test_layers_of_different_lengths_are_refused():
    with pytest.raises(ValueError, match="one length"):
        rollout([np.zeros((1, 2, 2), np.float32), np.zeros((1, 3, 3), np.float32)])
    with pytest.raises(ValueError, match="one length"):
        rollout([np.zeros((1, 2, 3), np.float32)])
