"""What a saved scene file says of its source, for each kind of target and sample."""

from __future__ import annotations

from pathlib import Path

import pytest

from nnviz3d.apps.origin import LIVE, NO_ORIGIN, SceneOrigin
from nnviz3d.apps.samples import Sample
from nnviz3d.apps.target import ModelOptions, resolve
from nnviz3d.data.bundled import bundled
from nnviz3d.data.files.unfinished import make_temporary_folder

OWN = tuple(Sample(f"digits:{i}", i, f"digits:{i}") for i in range(3))


def origin_of(target: str, count: int, **options: object) -> SceneOrigin:
    found = resolve(target, None, ModelOptions(**options))
    return SceneOrigin.of(found, count, ready=found.capture is not None)


def test_sample_of_a_capture_is_shown_again_from_the_capture():
    found = origin_of(str(bundled("digits.zarr.zip")), 3).showing(OWN, 2, 1)
    assert found.source.capture == str(bundled("digits.zarr.zip"))
    assert (found.source.sample, found.against, found.same, found.remarks) == (2, 1, True, ())


def test_sample_that_was_run_later_is_run_again():
    samples = (*OWN, Sample("digits:42", 3, "digits:42"))
    found = origin_of("digits", 3).showing(samples, 3, None)
    assert found.source.capture is None
    assert found.source.model == str(bundled("digits.keras"))
    assert (found.source.input, found.source.sample, found.same) == (("digits:42",), 0, True)
    assert found.source.choices[0] == "digits:3", "the scene's own samples stay choices"
    both = origin_of("digits", 3).showing(samples, 3, 1)
    assert both.source.input == ("digits:42", "digits:1")
    assert both.against == 1


def test_sample_that_was_run_later_among_points_is_shown_beside_them():
    samples = (*OWN, Sample("digits:42", 3, "digits:42"))
    found = origin_of("embedding", 3).showing(samples, 3, None)
    assert found.source.capture is not None
    assert found.source.beside == ("digits:42",)


def test_model_and_its_input_are_shown_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "cat.png").touch()
    model = str(bundled("digits.keras"))
    origin = origin_of(model, 1, inputs=("cat.png",), preprocess="unit", weights="none", trust=True, custom=("m:f",))
    found = origin.showing((Sample("cat.png", 0, "cat.png"),), 0, None)
    assert found.source.model == model
    assert found.source.input == (str(tmp_path / "cat.png"),)
    assert (found.source.preprocess, found.source.weights) == ("unit", "none")
    assert any("--trust --custom m:f" in one for one in found.remarks)
    assert any("random" in one for one in found.remarks)


def test_uploaded_sample_cannot_be_shown_again():
    folder = make_temporary_folder()
    try:
        samples = (*OWN, Sample("cat.png", 3, str(folder / "cat.png")))
        found = origin_of("digits", 3).showing(samples, 3, None)
    finally:
        folder.rmdir()
    assert not found.same
    assert found.source.capture is not None
    assert "cat.png" in found.remarks[-1]
    assert str(folder) not in found.source.model_dump_json()


def test_live_model_cannot_be_shown_again():
    found = NO_ORIGIN.showing(OWN, 0, None)
    assert found.source is None
    assert found.remarks == (LIVE,)
