"""Tests of the bundled files: digits, ready capture, credits."""

import numpy as np
import pytest

from nnviz3d.data.bundled import bundled
from nnviz3d.data.capture import open_capture
from nnviz3d.errors import UserError


def test_bundled_digits_are_a_thousand_in_the_official_order():
    with np.load(bundled("digits.npz"), allow_pickle=False) as file:
        images, labels = file["images"], file["labels"]
    assert (images.shape, images.dtype) == ((1000, 28, 28), np.uint8)
    assert labels[:10].tolist() == [7, 2, 1, 0, 4, 1, 4, 9, 5, 9]  # the official order


def test_bundled_capture_has_each_digit_once_and_classifies_all_correctly():
    capture = open_capture(bundled("digits.zarr.zip"))
    assert capture.labels.tolist() == list(range(10))
    assert capture.activations("dense_1").values.argmax(axis=1).tolist() == list(range(10))
    assert capture.classes == tuple("0123456789")
    assert [node.id for node in capture.graph] == [
        "input",
        "conv2d",
        "max_pooling2d",
        "conv2d_1",
        "max_pooling2d_1",
        "conv2d_2",
        "flatten",
        "dense",
        "dense_1",
    ]
    assert bundled("digits.zarr.zip").stat().st_size < 2_000_000


def test_bundled_capture_is_of_the_bundled_network():
    import hashlib

    capture = open_capture(bundled("digits.zarr.zip"))
    assert capture.provenance.sha256 == hashlib.sha256(bundled("digits.keras").read_bytes()).hexdigest()


def test_gallery_contains_the_credits():
    notice = bundled("NOTICE.md").read_text(encoding="utf-8")
    assert "Yann LeCun" in notice
    assert "CC BY-SA 3.0" in notice


def test_refusal_of_an_unknown_bundled_name_lists_all_names():
    with pytest.raises(UserError, match=r"comes with no 'cats\.npz'; it has .*digits\.keras"):
        bundled("cats.npz")
