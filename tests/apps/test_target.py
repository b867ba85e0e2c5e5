"""Tests of resolving a target to a scene, a capture and a model."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from nnviz3d.apps.open_target import opened
from nnviz3d.apps.target import ModelOptions, bundled_scenes, resolve
from nnviz3d.apps.worker import Worker
from nnviz3d.data.bundled import bundled
from nnviz3d.data.capture import Capture
from nnviz3d.data.request import CaptureRequest
from nnviz3d.errors import SceneError, UserError
from nnviz3d.scene.spec import read_scene

NOTHING = ModelOptions()


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder other than the working folder, for scenes, with a model and its class names."""
    (tmp_path / "scenes").mkdir()
    (tmp_path / "scenes" / "m.keras").touch()
    (tmp_path / "scenes" / "names.txt").touch()
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    return tmp_path / "scenes"


def scene(folder: Path, source: str) -> str:
    (folder / "my.toml").write_text(f"format = 1\n[source]\n{source}\n")
    return str(folder / "my.toml")


def test_files_of_a_scene_are_relative_to_its_folder(folder: Path):
    inputs = '["cat.jpg", "more/dogs", "../x.npy", "/abs/y.png", "digits:3", "sklearn:china.jpg", "random"]'
    found = resolve(scene(folder, f'model = "m.keras"\ninput = {inputs}\nclasses = "names.txt"'), None, NOTHING)
    assert found.model == str(folder / "m.keras")
    assert found.options.classes == folder / "names.txt"
    assert found.options.inputs == (
        *(str(folder / name) for name in ("cat.jpg", "more/dogs", "../x.npy")),
        *("/abs/y.png", "digits:3", "sklearn:china.jpg", "random"),
    )
    (one,) = resolve(scene(folder, 'model = "m.keras"\ninput = "cat.jpg"'), None, NOTHING).options.inputs
    assert one == str(folder / "cat.jpg")


def test_model_of_a_scene_may_be_in_the_working_folder(folder: Path):
    target = scene(folder, 'model = "big.keras"\nclasses = "big.txt"\nhint = "make it with: make big"')
    says = r"There is no big\.keras beside the scene, nor in the working folder; make it with: make big\."
    with pytest.raises(UserError, match=says):
        resolve(target, None, NOTHING)
    Path("big.keras").touch()
    with pytest.raises(UserError, match=r"no big\.txt .*; make it with: make big\."):
        resolve(target, None, NOTHING)
    Path("big.txt").touch()
    found = resolve(target, None, NOTHING)
    assert (Path(found.model or "").resolve(), found.options.classes) == (Path("big.keras").resolve(), Path("big.txt"))
    (folder / "big.keras").touch()
    assert resolve(target, None, NOTHING).model == str(folder / "big.keras"), "beside the scene comes first"


def test_files_of_the_command_line_are_relative_to_the_working_folder(folder: Path):
    target = scene(folder, 'model = "m.keras"\ninput = "cat.jpg"\nsample = 3')
    found = resolve(target, None, ModelOptions(inputs=("dog.jpg",)))
    assert found.options.inputs == ("dog.jpg",)
    assert found.sample == 0, "the scene's sample is one of the scene's inputs"


def test_only_the_shown_sample_of_a_model_is_captured_unless_all_are_wanted(folder: Path, small_capture: Capture):
    asked: list[CaptureRequest] = []

    def run(request: CaptureRequest) -> None:
        asked.append(request)
        shutil.copytree(small_capture.path, request.out)

    target = scene(folder, 'model = "m.keras"\ninput = "digits:4-6"\nsample = 2')
    (folder / "m.keras").touch()
    with opened(target, None, NOTHING, run) as found:
        assert (found.sample, [s.index for s in found.samples]) == (0, [None, None, 0])
        assert [s.source for s in found.samples] == ["digits:4", "digits:5", "digits:6"]
    with opened(target, None, NOTHING, run, sample=1) as found:
        assert [s.index for s in found.samples] == [None, 0, None]
    with opened(target, None, NOTHING, run, sample=1, whole=True) as found:
        assert (found.sample, [s.index for s in found.samples]) == (1, [0, 1, 2])
    assert [request.only for request in asked] == [2, 1, None]


def test_ready_capture_offers_the_scenes_choices_if_its_model_can_be_run(folder: Path, small_capture: Capture):
    target = scene(folder, f'capture = "{small_capture.path}"\nmodel = "later.keras"\nchoices = "digits:4-5"')
    worker = Worker()
    with opened(target, None, NOTHING, pytest.fail, worker=worker) as found:
        assert len(found.samples) == 3, "a capture without its model offers only its samples"
        assert found.runner is None
    (folder / "later.keras").touch()
    with opened(target, None, NOTHING, pytest.fail) as found:
        assert len(found.samples) == 3, "there is no worker to run it"
    with opened(target, None, NOTHING, pytest.fail, worker=worker) as found:
        assert [s.name for s in found.samples[3:]] == ["digits:4", "digits:5"]
        assert [s.index for s in found.samples] == [0, 1, 2, None, None]
        assert found.runner is not None


def test_sample_that_the_ready_capture_lacks_is_an_error_of_the_scene(folder: Path, small_capture: Capture):
    target = scene(folder, f'capture = "{small_capture.path}"\nsample = 9')
    with (
        pytest.raises(SceneError, match=r"The scene's source\.sample is 9, but its capture holds 3 samples"),
        opened(target, None, NOTHING, pytest.fail),
    ):
        pass


def test_bundled_scene_names_the_inputs_of_its_capture(digits: Capture):
    source = read_scene(bundled_scenes()["digits"]).source
    assert source is not None
    assert source.input == digits.provenance.samples
    assert resolve("digits", None, ModelOptions(preprocess="unit")).model == str(bundled("digits.keras"))


def test_empty_name_is_refused():
    with pytest.raises(UserError, match="The name of what to show is empty; expected a scene, a model or a capture"):
        resolve("", None, NOTHING)
    with pytest.raises(UserError, match="is empty"):
        resolve("model.keras", "", NOTHING)


def test_unpacked_model_folder_is_a_target_by_any_name(tmp_path: Path):
    for name in ("model", "model.keras"):
        folder = tmp_path / name
        folder.mkdir()
        (folder / "config.json").touch()
        (folder / "model.weights.h5").touch()
        assert resolve(str(folder), None, ModelOptions()).model == str(folder)
