"""A sample without a label takes no label from the others: in captures, embeddings, landscapes and tables."""

import keras
import numpy as np
import pytest
from keras import layers
from PIL import Image

from nnviz3d.capture.capture_model import capture_model
from nnviz3d.capture.capture_settings import CaptureSettings
from nnviz3d.capture.inputs.class_names import ClassNames
from nnviz3d.capture.inputs.sample_set import Samples, join
from nnviz3d.capture.loading.load import load_model
from nnviz3d.capture.model_cache import CachedModel
from nnviz3d.data.bundled import bundled, digits
from nnviz3d.data.capabilities.embeddings import EmbeddingOptions, embedding_names, read_embedding
from nnviz3d.data.capabilities.landscape import LandscapeOptions, read_landscape
from nnviz3d.data.capture import open_capture
from nnviz3d.data.labelled_arrays import to_xarray
from nnviz3d.data.labels import NO_LABEL
from nnviz3d.data.request import Insights, Notice
from nnviz3d.data.sample_sources import classes_in

COUNT = 12


@pytest.fixture
def drawing(tmp_path):
    path = tmp_path / "drawing 1.png"
    Image.fromarray(np.full((28, 28), 90, np.uint8)).save(path)
    return str(path)


def run(tmp_path, model, inputs, **insights):
    """Capture a model; returns the capture, and the notices."""
    told, kept = [], CachedModel(load_model(str(model)))
    settings = CaptureSettings(tmp_path / "run.zarr", insights=Insights(**insights))
    capture_model(kept.traced, kept.samples(inputs), settings, told.append, kept.samples)
    return open_capture(tmp_path / "run.zarr"), [event.text for event in told if isinstance(event, Notice)]


def test_captured_samples_keep_their_labels_beside_one_that_has_none(tmp_path, drawing):
    found, _ = run(tmp_path, bundled("digits.keras"), ["digits:3", drawing, "digits:4"])
    truth = digits()[1]
    assert [found.label(i) for i in range(3)] == [truth[3], None, truth[4]]
    assert found.classes == tuple("0123456789")
    label = to_xarray(found).label.values
    assert (label[0], label[2]) == (truth[3], truth[4])
    assert np.isnan(label[1])


def test_embedding_keeps_the_labels_of_a_data_set_to_which_a_drawing_was_added(tmp_path, drawing):
    wanted = {
        "embeddings": ("last hidden",),
        "dataset": ("digits:0-11", drawing),
        "embedding_options": EmbeddingOptions(method="pca"),
    }
    found, _ = run(tmp_path, bundled("digits.keras"), ["digits:3"], **wanted)
    points = read_embedding(found.stored, embedding_names(found.stored)[0])
    assert points.labels.tolist() == [*digits()[1][:COUNT], NO_LABEL]
    assert points.labelled.tolist() == [True] * COUNT + [False]
    assert not points.wrong[-1]
    assert np.array_equal(points.wrong[:-1], points.predictions[:-1] != digits()[1][:COUNT])


def test_landscape_is_that_of_the_samples_with_a_label_and_says_how_many_have_none(tmp_path, drawing):
    landscapes = []
    for dataset in (("digits:0-11",), ("digits:0-4", drawing, "digits:5-11")):
        wanted = {"landscape": True, "landscape_options": LandscapeOptions(resolution=3), "dataset": dataset}
        found, notices = run(tmp_path, bundled("digits.keras"), ["digits:3"], **wanted)
        landscapes.append(read_landscape(found.stored))
    assert any("1 sample without a label is left out of the loss landscape" in text for text in notices)
    assert [one.count for one in landscapes] == [COUNT, COUNT]
    assert np.array_equal(landscapes[0].values, landscapes[1].values)


def test_label_of_minus_one_is_a_label(tmp_path, rng):
    """The classes of a hinge loss are -1 and 1."""
    model = keras.Sequential([keras.Input((3,)), layers.Dense(1)])
    model.compile(loss="hinge")
    model.save(tmp_path / "m.keras")
    x, y = rng.normal(size=(COUNT, 3)).astype(np.float32), np.where(np.arange(COUNT) % 2, 1, -1)
    np.savez(tmp_path / "xy.npz", x=x, y=y)
    np.save(tmp_path / "more.npy", x[:2])
    files = (f"{tmp_path / 'xy.npz'}", f"{tmp_path / 'more.npy'}")
    wanted = {"landscape": True, "landscape_options": LandscapeOptions(resolution=3), "dataset": files}
    found, _ = run(tmp_path, tmp_path / "m.keras", files, **wanted)
    assert [found.label(i) for i in (0, 1, COUNT)] == [-1, 1, None]
    landscape = read_landscape(found.stored)
    assert (landscape.count, landscape.loss) == (COUNT, "hinge")
    assert landscape.center == pytest.approx(model.evaluate(x, y, verbose=0))


def test_labels_are_matched_by_the_names_of_those_samples_that_have_some():
    def of(labels, classes):
        count = 1 if labels is None else len(labels)
        found = None if labels is None else np.array(labels)
        return Samples((np.zeros((count, 2)),), ("a",) * count, (False,), labels=found, classes=classes)

    together = join([of(None, None), of([0, 1], ("cat", "dog")), of(None, None)])
    assert together.classes == ("cat", "dog")
    assert ClassNames(("dog", "cat")).labelled(together).labels.tolist() == [NO_LABEL, 1, 0, NO_LABEL]
    assert join([of(None, None), of(None, None)]).labels is None
    assert join([of([0], ("cat",)), of([0], ("dog",))]).classes is None


def test_names_of_classes_are_those_of_all_sources_that_have_labels(tmp_path, drawing):
    assert classes_in(["digits:3", drawing]) == tuple("0123456789")
    for name in ("cat", "dog"):
        (tmp_path / "pets" / name).mkdir(parents=True)
        Image.new("L", (8, 8)).save(tmp_path / "pets" / name / "1.png")
    assert classes_in([str(tmp_path / "pets"), drawing]) == ("cat", "dog")
    assert classes_in(["digits:3", str(tmp_path / "pets")]) is None
    assert classes_in([drawing]) is None
