"""The model that the user names for a ready capture: check its options, and run it as the capture did."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from rich.console import Console

from nnviz3d.apps.progress import print_notice
from nnviz3d.apps.sample_listing import available, uncaptured
from nnviz3d.apps.samples import Sample, captured_samples
from nnviz3d.apps.target import ModelOptions
from nnviz3d.data.captured_model import check_model_of
from nnviz3d.data.graph import Shape
from nnviz3d.data.preprocessing_words import REQUESTED
from nnviz3d.data.reader import CaptureReader
from nnviz3d.data.request import CaptureRequest
from nnviz3d.errors import UserError

_RANDOM = re.compile(r"random \(seed \d+\)")
_ROW = re.compile(r"\[\d+\]$")
_CUT = "..."
"""End of a sample's name that is the beginning of a longer text."""


def check_attached(capture: CaptureReader, model: str, options: ModelOptions) -> None:
    """Check a model and its options against the capture that was made of it.

    Raises
    ------
    UserError
        If it is another model, or an option contradicts the capture.
    """
    name, mode = capture.path.name, capture.provenance.preprocessing
    if options.classes is not None:
        raise UserError(f"The names of the classes are those of {name}; leave --classes out.")
    if options.weights == "all":
        raise UserError(f"{name} holds the weights that it was captured with; leave --weights all out.")
    if options.preprocess is not None and options.preprocess != mode:
        raise UserError(
            f"The samples of {name} were preprocessed by {mode}, so others cannot be by {options.preprocess}; leave "
            "--preprocess out."
        )
    request = options.request(model, Path("run.zarr"))
    check_model_of(capture, model, request.loading)


def as_captured(request: CaptureRequest, capture: CaptureReader, folder: Path) -> CaptureRequest:
    """Return a request that treats samples as the capture treated its own: their preprocessing, seed and classes.

    Parameters
    ----------
    folder
        A temporary folder for a file of class names.
    """
    origin = capture.provenance
    known: dict[str, Any] = {"seed": origin.seed or 0}
    if REQUESTED in origin.preprocessing_reason:
        known["preprocess"] = origin.preprocessing
    if capture.classes is not None:
        known["classes"] = folder / "classes.txt"
        known["classes"].write_text("\n".join(capture.classes), encoding="utf-8")
    return CaptureRequest(**{**request.model_dump(), "insights": request.insights, **known})


def attached_samples(capture: CaptureReader, inputs: tuple[str, ...]) -> tuple[Sample, ...]:
    """Return the samples of a capture, with their sources as far as they are known, and then the other inputs.

    A capture tells the names of its samples, not where they were. A sample is found among the inputs, or else by its own
    name: ``digits:7``, or a file of the working folder.

    Raises
    ------
    SampleError
        If an input does not exist.
    """
    shapes, seed = capture.graph.input_shapes, capture.provenance.seed or 0
    given = uncaptured(inputs, shapes, seed)
    named = {one.name: one for one in given}
    ready = captured_samples(capture)
    files = dict.fromkeys(_ROW.sub("", one.name) for one in ready if one.name not in named)
    for found in (_by_name(file, shapes, seed) for file in files):
        named = {**{one.name: one for one in found}, **named}
    names = {one.name for one in ready}
    if not named:
        whose = f"The files of the samples of {capture.path.name} are not known"
        print_notice(Console(stderr=True), f"{whose}; name them with --input, to run the model on them.")
    known = (replace(named.get(one.name, one), index=one.index) for one in ready)
    return (*known, *(one for one in given if one.name not in names))


def _by_name(name: str, shapes: Mapping[str, Shape], seed: int) -> tuple[Sample, ...]:
    """Return the samples that a name stands for by itself: one, or the rows of a file; nothing if it stands for none."""
    if "/" in name or "\\" in name or name.endswith(_CUT):
        return ()
    return available(("random" if _RANDOM.fullmatch(name) else name,), shapes, seed)
