"""Words for the modes of preprocessing, shared by the terminal and the picture."""

from __future__ import annotations

from collections.abc import Mapping

MEANING: Mapping[str, str] = {
    "tf": "pixels scaled to -1..1",
    "torch": "pixels scaled to 0..1, then normalized with ImageNet's mean and standard deviation",
    "caffe": "RGB turned to BGR, then ImageNet's mean subtracted, not scaled",
    "unit": "pixels scaled to 0..1",
    "none": "numbers given as they are",
}
"""Effect of each mode of `Provenance.preprocessing` on the pixels."""
REQUESTED = "It was requested."
"""Reason in the provenance for a mode that the user chose."""
_SHORT: Mapping[str, str] = {
    "tf": "pixels scaled to −1 … 1 (preprocessing tf)",
    "torch": "pixels normalized with ImageNet's mean and deviation (preprocessing torch)",
    "caffe": "channels in the order BGR, ImageNet's mean subtracted (preprocessing caffe)",
    "unit": "pixels scaled to 0 … 1 (preprocessing unit)",
    "none": "no preprocessing",
}


def short_meaning(mode: str) -> str:
    """Return what a mode does in a few words; for a mode of a later version its name."""
    return _SHORT.get(mode, f"preprocessing {mode}")


def channel_colors(mode: str) -> tuple[str, str, str]:
    """Return the colour of each of a photo's three channels as the model takes them."""
    return ("blue", "green", "red") if mode == "caffe" else ("red", "green", "blue")
