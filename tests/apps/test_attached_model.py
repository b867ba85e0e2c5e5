"""Tests of the model that the user names for a ready capture: which one is refused, and how it is run."""

from __future__ import annotations

import hashlib
import shutil
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from nnviz3d.apps.attached_model import as_captured, attached_samples
from nnviz3d.apps.open_target import opened
from nnviz3d.apps.perspectives import State
from nnviz3d.apps.samples import Sample
from nnviz3d.apps.session import Session
from nnviz3d.apps.target import ModelOptions
from nnviz3d.apps.worker import Worker
from nnviz3d.data.capture import Capture, open_capture
from nnviz3d.data.note_words import RANDOM_WEIGHTS
from nnviz3d.data.records import Provenance
from nnviz3d.data.request import CaptureRequest
from nnviz3d.data.storage.capture_writer import CaptureWriter
from nnviz3d.errors import SampleError, UserError
from nnviz3d.scene.scene import Scene
from nnviz3d.scene.selection import Selection
from tests.support import captures, command_line

BYTES = b"the captured model"
SHA = hashlib.sha256(BYTES).hexdigest()


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working folder, with a capture of ``hand.keras`` and this file."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "hand.keras").write_bytes(BYTES)
    write(tmp_path / "run.zarr", Provenance("hand.keras", sha256=SHA, samples=("digits:7", "cat.png", "x.npy[1]")))
    return tmp_path


def write(path: Path, provenance: Provenance) -> None:
    values = captures.small_values()
    with CaptureWriter(
        path, graph=captures.small_graph(), provenance=provenance, samples=3, classes=captures.CLASSES
    ) as writer:
        for node, array in values.items():
            writer.write_activations(node, 0, 0, array)
        writer.commit(3)


def open_it(target: str = "run.zarr", model: str = "hand.keras", **options: object):
    return opened(target, None, ModelOptions(model=model, **options), pytest.fail, worker=Worker(pytest.fail))


def refusal(target: str = "run.zarr", model: str = "hand.keras", **options: object) -> str:
    with pytest.raises(UserError) as told, open_it(target, model, **options):
        pass
    return str(told.value)


def test_capture_opens_at_once_and_its_model_can_be_run(folder):
    with open_it() as found:
        assert isinstance(found.capture, Capture)
        assert found.runner is not None
        assert [one.index for one in found.samples] == [0, 1, 2]
        assert found.origin.source is not None
        assert found.origin.source.model == str(folder / "hand.keras")


def test_other_model_is_refused_by_its_sha256(folder):
    (folder / "other.keras").write_bytes(b"another model")
    other = hashlib.sha256(b"another model").hexdigest()
    assert refusal(model="other.keras") == (
        f"--model other.keras is not the model of run.zarr: its SHA-256 begins with {other[:12]}, and that of the captured "
        f"hand.keras with {SHA[:12]}."
    )
    (folder / "moved").mkdir()
    shutil.move("hand.keras", "moved/renamed.keras")
    with open_it(model="moved/renamed.keras"):
        pass


@pytest.mark.parametrize(
    ("model", "says"),
    [
        ("gone.keras", "--model gone.keras: there is no such model."),
        ("cat.png", "--model cat.png: a model is keras:NAME for one of keras.applications"),
        ("keras:VGG16", "run.zarr was captured from hand.keras, and --model names keras:VGG16."),
    ],
)
@pytest.mark.usefixtures("folder")
def test_name_of_no_model_of_the_capture_is_refused(model, says):
    assert refusal(model=model).startswith(says)


def test_capture_of_an_object_of_a_program_tells_no_model(folder):
    write(folder / "live.zarr", Provenance("functional", samples=("a", "b", "c")))
    assert refusal("live.zarr").startswith("live.zarr tells no SHA-256 of its model functional, so it is not known ")


def test_model_of_keras_applications_is_known_by_its_name_and_whether_its_weights_are_random(folder):
    provenance = Provenance("keras:VGG16", samples=("a", "b", "c"))
    write(folder / "vgg.zarr", provenance)
    with open_it("vgg.zarr", "keras:VGG16"):
        pass
    assert (
        refusal("vgg.zarr", "keras:VGG19") == "vgg.zarr was captured from keras:VGG16, and --model names keras:VGG19."
    )
    assert refusal("vgg.zarr", "keras:VGG16", weights="none") == (
        "The weights of keras:VGG16 were trained when vgg.zarr was captured; leave out --weights none."
    )
    write(folder / "vgg.zarr", replace(provenance, notes=(RANDOM_WEIGHTS,)))
    with open_it("vgg.zarr", "keras:VGG16", weights="none"):
        pass
    assert refusal("vgg.zarr", "keras:VGG16").endswith("were random when vgg.zarr was captured; add --weights none.")


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"preprocess": "caffe"}, "The samples of run.zarr were preprocessed by none, so others cannot be by caffe"),
        ({"classes": Path("names.txt")}, "The names of the classes are those of run.zarr; leave --classes out."),
        ({"weights": "all"}, "run.zarr holds the weights that it was captured with; leave --weights all out."),
        ({"inputs": ("gone.png",)}, "There is no input gone.png"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
@pytest.mark.usefixtures("folder")
def test_options_that_contradict_the_capture_are_refused(options, says):
    assert refusal(**options).startswith(says)


@pytest.mark.parametrize("target", ["hand.keras", "digits", "digits.toml"])
@pytest.mark.usefixtures("folder")
def test_target_that_is_no_capture_takes_no_model(target):
    says = f"--model names the model of a ready capture (.zarr), and {target} is none; leave it out."
    assert refusal(target) == says
    found = command_line.run("serve", target, "--model", "hand.keras", "--no-open", cwd=Path.cwd())
    assert (found.returncode, found.stderr.strip()) == (2, f"nnviz3d: {says}")


def test_samples_are_found_among_the_inputs_or_by_their_names(folder):
    capture = open_capture(folder / "run.zarr")
    assert [one.source for one in attached_samples(capture, ())] == ["digits:7", None, None]
    (folder / "photos").mkdir()
    for place in ("photos/cat.png", "photos/dog.png", "cat.png"):
        Image.new("L", (9, 8)).save(folder / place)
    np.save(folder / "x.npy", np.zeros((3, 8, 9, 1), np.float32))
    assert [one.source for one in attached_samples(capture, ())] == ["digits:7", "cat.png", "x.npy[1]"]
    found = attached_samples(capture, ("photos", "digits:7-8"))
    assert [(one.name, one.index) for one in found] == [
        ("digits:7", 0), ("cat.png", 1), ("x.npy[1]", 2), ("dog.png", None), ("digits:8", None)
    ]  # fmt: skip
    assert found[1].source == str(Path("photos") / "cat.png")
    assert found[3] == Sample("dog.png", None, str(Path("photos") / "dog.png"))
    with pytest.raises(SampleError, match="There is no input"):
        attached_samples(capture, ("gone.npy",))


def test_notice_asks_for_the_files_if_none_is_known(folder, capsys):
    write(folder / "named.zarr", Provenance("m", samples=("a.png", "b.png", "c.png")))
    attached_samples(open_capture(folder / "named.zarr"), ())
    assert capsys.readouterr().err == (
        "The files of the samples of named.zarr are not known; name them with --input, to run the model on them.\n"
    )
    attached_samples(open_capture(folder / "run.zarr"), ())
    assert capsys.readouterr().err == ""


def test_names_with_folders_or_of_cut_texts_are_no_sources(folder):
    write(folder / "named.zarr", Provenance("m", samples=("../cat.png", "a long text ...", "random (seed 0)"), seed=0))
    Image.new("L", (9, 8)).save(folder.parent / "cat.png")
    found = attached_samples(open_capture(folder / "named.zarr"), ())
    assert [one.source for one in found] == [None, None, "random"]


def test_further_samples_are_treated_as_those_of_the_capture(folder):
    request = CaptureRequest(model="hand.keras", out=folder / "x.zarr")
    plain = as_captured(request, open_capture(folder / "run.zarr"), folder)
    assert (plain.preprocess, plain.seed) == (None, 0), "the model decides it, as it did for the capture"
    assert plain.classes is not None
    assert plain.classes.read_text().splitlines() == list(captures.CLASSES)
    asked = Provenance("m", preprocessing="caffe", preprocessing_reason="It was requested.", samples=("a",) * 3, seed=5)
    write(folder / "named.zarr", asked)
    found = as_captured(request, open_capture(folder / "named.zarr"), folder)
    assert (found.preprocess, found.seed) == ("caffe", 5)


@pytest.mark.usefixtures("folder")
def test_sample_whose_file_is_not_known_asks_for_it():
    with open_it() as found:
        window = SimpleNamespace(size=(160, 90))
        scene = Scene.build(found.spec, found.capture)
        session = Session(scene, window, samples=found.samples, runner=found.runner, selection=Selection(sample=1))
        told = session.perspectives.availability("gradients")
        assert told.state is State.IMPOSSIBLE
        assert told.reason.endswith(
            "The file of this sample is not known; name it with --input, or choose another sample."
        )
