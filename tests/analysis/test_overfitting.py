"""Overfitting is found by the written rule, and nothing else is."""

from __future__ import annotations

import numpy as np
import pytest

from nnviz3d.analysis.overfitting import overfitting_in, overfitting_words, short_words
from nnviz3d.data.training_epochs import EpochEnds


def ends(own, validation):
    numbers = np.arange(len(own))
    metrics = {"loss": np.array(own, float), "val_loss": np.array(validation, float)}
    return EpochEnds(10 * (numbers + 1), numbers, metrics)


FALLING = [1.0, 0.8, 0.6, 0.5, 0.4, 0.3, 0.2]


def test_overfitting_has_the_epoch_the_losses_and_the_rise_of_a_rising_validation_loss():
    found = overfitting_in(ends(FALLING, [1.1, 0.9, 0.8, 0.85, 0.9, 1.0, 1.2]))
    assert found is not None
    assert (found.step, found.epoch, found.last_epoch) == (30, 2, 6)
    assert (found.validation, found.training) == ((0.8, 1.2), (0.6, 0.2))
    assert found.rise == pytest.approx(0.5)
    assert overfitting_words(found) == (
        "The model overfits after epoch 3 (step 30): until epoch 7 the validation loss rises from 0.8 to 1.2, by 50%, "
        "while the training loss falls from 0.6 to 0.2."
    )
    assert short_words(found) == "val_loss 1.2, +50% since epoch 3: overfits"


def test_overfitting_is_found_from_the_third_validation_above_the_lowest_one():
    both = ends(FALLING, [1.1, 0.9, 0.8, 0.85, 0.9, 1.0, 1.2])
    assert overfitting_in(both, until=50) is None
    assert overfitting_in(both, until=60) is not None


@pytest.mark.parametrize(
    ("own", "validation"),
    [
        (FALLING, [1.1, 0.9, 0.8, 0.7, 0.6, 0.5, 0.4]),
        (FALLING, [1.1, 0.9, 0.8, 1.2, 0.81, 1.0, 1.2]),  # one of the last three is near the least one
        (FALLING, [1.1, 0.9, 0.8, 0.81, 0.82, 0.83, 0.83]),  # they rise by less than 5 %
        ([1.0, 0.5, 0.3, 0.6, 0.7, 0.8, 0.9], [1.1, 0.6, 0.5, 0.8, 0.9, 1.0, 1.1]),  # both rise: no overfitting
        (FALLING, [np.nan] * 7),
        ([], []),
    ],
)
def test_no_overfitting_is_found_unless_the_validation_loss_clearly_rises_while_the_training_loss_falls(
    own, validation
):
    assert overfitting_in(ends(own, validation)) is None


def test_overfitting_is_found_with_negative_losses_and_epochs_without_validation():
    """A log-likelihood may be negative; with ``validation_freq=2`` every other epoch has no number."""
    own = -np.arange(1.0, 11.0)
    validation = np.array([-1.0, np.nan, -2.0, np.nan, -1.8, np.nan, -1.7, np.nan, -1.6, np.nan])
    found = overfitting_in(ends(own, validation))
    assert found is not None
    assert (found.epoch, found.last_epoch) == (2, 8)
    assert found.rise == pytest.approx(0.2)
    assert short_words(found) == "val_loss −1.6, +20% since epoch 3: overfits"
    assert "rises from −2 to −1.6, by 20%, while the training loss falls from −3 to −9." in overfitting_words(found)


def test_overfitting_is_searched_for_in_the_last_call_of_fit_alone():
    """The second call begins at epoch 0 again, here with harder data: its losses are above those of the first call."""
    first, second = [0.3, 0.2, 0.19], [0.17, 0.16, 0.15, 0.14]
    joined = ends(first + second, [0.3, 0.2, 0.19, 0.5, 0.49, 0.48, 0.47])
    assert overfitting_in(joined) is not None
    joined.epochs[3:] -= 3
    assert overfitting_in(joined) is None
    both = ends(FALLING + FALLING, 2 * [1.1, 0.9, 0.8, 0.85, 0.9, 1.0, 1.2])
    both.epochs[7:] -= 7
    found = overfitting_in(both)
    assert found is not None
    assert (found.step, found.epoch, found.last_epoch) == (100, 2, 6)
    earlier = overfitting_in(both, until=70)  # at a step of the first call, the second has not begun
    assert earlier is not None
    assert earlier.step == 30
    assert overfitting_in(both, until=80) is None


def test_no_overfitting_is_found_in_metrics_without_a_loss():
    numbers = np.arange(5)
    assert overfitting_in(EpochEnds(numbers, numbers, {"val_accuracy": np.ones(5)})) is None
