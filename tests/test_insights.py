"""Tests of everything that one command can request beyond a forward pass, and of its pictures."""

from __future__ import annotations

import subprocess
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image

from nnviz3d.data.bundled import bundled
from nnviz3d.data.capture import Capture, open_capture
from nnviz3d.data.targets import Target
from tests.support import command_line

pytestmark = [pytest.mark.tensorflow, pytest.mark.slow]
WANTED = (
    *("--gradients", "--attribution", "grad_cam,integrated_gradients", "--class", "5"),
    *("--features", "conv2d_2[0:3]", "--steps", "24"),
    *("--embed", "dense", "--dataset", "digits:0-59", "--pca"),
)


def run(*arguments: str, folder: Path) -> subprocess.CompletedProcess[str]:
    return command_line.run(*arguments, cwd=folder)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of `run.zarr`, which one command has made."""
    folder = tmp_path_factory.mktemp("insights")
    done = run("capture", str(bundled("digits.keras")), "--input", "digits:7", *WANTED, "-o", "run.zarr", folder=folder)
    assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture(scope="module")
def capture(folder: Path) -> Capture:
    return open_capture(folder / "run.zarr")


def test_capture_holds_all_requested_insights(capture: Capture):
    explained = capture.explanations(0).targets
    assert [found.target for found in explained] == [Target("dense_1", 5)]
    assert explained[0].probability == pytest.approx(float(capture.activation("dense_1")[5]))
    assert capture.methods == ("grad_cam", "integrated_gradients")
    for node in capture.graph:
        gradient = capture.explanations(0).gradient(node.id)
        assert gradient is not None, node.id
        assert gradient.shape == capture.activation(node.id).shape
    assert np.array_equal(capture.explanations(0).gradient("dense_1"), np.eye(10, dtype=np.float32)[5])
    features = capture.features("conv2d_2")
    assert features is not None
    assert features.images.shape == (3, 28, 28, 1)
    assert np.all((features.after > features.before) | features.dead)
    embedding = capture.embedding("dense")
    assert (embedding.method, embedding.points.shape) == ("pca", (60, 3))
    assert np.mean(embedding.labels == embedding.predictions) > 0.9


def test_gradient_of_the_last_layer_is_its_weights(capture: Capture):
    """The score is linear in the output of `dense`, so its gradient is one column of the kernel."""
    kernel = capture.weights("dense_1")["kernel"]
    assert np.allclose(capture.explanations(0).gradient("dense"), kernel[:, 5], rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("quantity", ["gradient", "gradient_x_activation", "attribution"])
def test_blocks_show_the_quantity_with_both_signs(folder: Path, quantity: str):
    done = run("snapshot", "run.zarr", "--quantity", quantity, "-o", "a.png", "--size", "640x360", folder=folder)
    assert done.returncode == 0, done.stderr
    picture = np.asarray(Image.open(folder / "a.png").convert("RGB")).astype(int)
    red, blue = picture[..., 0], picture[..., 2]
    for sign in (red - blue, blue - red):
        assert np.mean(sign > 90) > 0.003


def test_class_that_was_not_captured_is_refused_in_one_sentence(folder: Path):
    done = run("snapshot", "run.zarr", "--class", "3", "-o", "a.png", folder=folder)
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert "--class 3" in done.stderr


@pytest.mark.parametrize(
    ("wanted", "words"),
    [
        (("--attribution", "grad_kam"), "score_cam. Did you mean grad_cam"),
        (("--attribution", "grad_cam", "--class", "10"), "0 to 9"),
        (("--attribution", "grad_cam", "--at", "dense"), "dense"),
        (("--features", "conv2d_9"), "conv2d_9"),
        (("--embed", "dense"), "only 1"),
        (("--embed", "dense", "--dataset", "digits:0-9", "--perplexity", "50"), "perplexity"),
        (("--attention",), "attention"),
    ],
)
def test_impossible_insight_is_refused_in_one_sentence_without_a_file(
    tmp_path: Path, wanted: tuple[str, ...], words: str
):
    done = run(
        "capture", str(bundled("digits.keras")), "--input", "digits:7", *wanted, "-o", "run.zarr", folder=tmp_path
    )
    assert done.returncode == 2, done.stderr
    last = done.stderr.splitlines()[-1]
    assert words in last
    assert "Traceback" not in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_interventions_of_options_of_a_scene_file_and_of_a_capture_give_one_picture(folder: Path):
    model = str(bundled("digits.keras"))
    changes = ("--mute", "conv2d_1[21]", "--scale", "conv2d[3]=0.5")
    (folder / "changed.toml").write_text(
        f'format = 1\n[source]\nmodel = "{model}"\ninput = "digits:18"\n[look]\nquantity = "change"\n'
        'interventions = ["mute conv2d_1[21]", "scale conv2d[3] by 0.5"]\n'
    )
    size, pictures = ("--size", "320x180"), []
    assert run("capture", model, "--input", "digits:18", *changes, "-o", "changed.zarr", folder=folder).returncode == 0
    for words in (
        (model, "--input", "digits:18", *changes),
        ("changed.toml",),
        ("changed.zarr", "--quantity", "change"),
    ):
        done = run("snapshot", *words, *size, "-o", "b.png", folder=folder)
        assert done.returncode == 0, done.stderr
        pictures.append(np.asarray(Image.open(folder / "b.png").convert("RGB")).astype(int)[60:])
    assert np.array_equal(pictures[0], pictures[1])
    assert np.array_equal(pictures[0], pictures[2])
    assert np.mean(pictures[0][..., 2] - pictures[0][..., 0] > 90) > 0.003, "numbers that become smaller are blue"


def test_film_of_a_model_with_an_intervention_shows_the_change(folder: Path):
    words = ("--size", "320x180", "--fps", "5", "--seconds", "1", "-o", "c.mp4")
    done = run(
        "record", str(bundled("digits.keras")), "--input", "digits:18", "--mute", "conv2d_1[21]", *words, folder=folder
    )
    assert done.returncode == 0, done.stderr
    with av.open(str(folder / "c.mp4")) as film:
        last = list(film.decode(video=0))[-1].to_ndarray(format="rgb24").astype(int)
    assert np.mean(last[..., 2] - last[..., 0] > 60) > 0.003, "numbers that become smaller are blue"
