"""Explanations, features and embeddings are read as they were written; what is missing or damaged is told."""

from __future__ import annotations

import json
from dataclasses import fields, replace

import numpy as np
import pytest

from nnviz3d.data.capabilities.attention import has_attention, write_attention
from nnviz3d.data.capabilities.attributions import (
    Attribution,
    attribution_methods,
    write_attribution,
    write_attribution_layers,
)
from nnviz3d.data.capabilities.embeddings import Embedding, embedding_names, read_embedding, write_embedding
from nnviz3d.data.capabilities.features import FeatureVisualization, read_features, write_features
from nnviz3d.data.capabilities.gradients import write_gradient
from nnviz3d.data.capture import open_capture
from nnviz3d.data.capture_series import CaptureSeries
from nnviz3d.data.targets import PREDICTED, Explained, Target, write_targets
from nnviz3d.errors import CaptureError
from tests.support import captures
from tests.support.chunks import chunk_files

NAMES = ("run.zarr", "run.zarr.zip", "haste.zarr.zip")
"""A folder, a compressed zip file, and a zip file written fast."""
SAMPLES = 3


def numbers(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


INDEX = np.array([4, 0, 2])
OTHER = Target("scores", 10)
SHARES = np.array([0, 0.5, 1], dtype=np.float32)
GRADIENTS = {"conv": numbers(SAMPLES, 6, 7, 4), "dense": numbers(SAMPLES, 20, seed=1)}
FEATURES = FeatureVisualization(
    "conv",
    "channel",
    np.array([3, 0]),
    np.random.default_rng(2).random((2, 8, 9, 1), dtype=np.float32),
    np.array([0.5, 0], dtype=np.float32),
    np.array([7.5, 0], dtype=np.float32),
    np.array([False, True]),
    {"steps": 256, "parametrization": "fourier"},
)
EMBEDDING = Embedding(
    "block/dense@1",
    "tsne",
    numbers(5, 3),
    numbers(5, 3, seed=3),
    numbers(4, 5, 3, seed=4),
    tuple("abcde"),
    np.arange(5),
    np.array([0, 1, 2, 3, 3]),
    np.linspace(0.1, 1, 5, dtype=np.float32),
    np.arange(5 * 2 * 2 * 3, dtype=np.uint8).reshape(5, 2, 2, 3),
    numbers(5, 6, seed=5),
    {"trustworthiness": 0.93, "kl": 0.4},
    {"perplexity": 2.0, "seed": 0},
    "c0ffee",
)


def a_map(sample, layer, shape, *, measured):
    curve = np.array([0.9, 0.4, 0.1], dtype=np.float32)
    curves = (SHARES, curve, curve[::-1]) if measured else (np.empty(0, np.float32),) * 3
    explained = Explained(PREDICTED, Target("scores", int(INDEX[sample])), float(sample), 0.5)
    return Attribution("grad_cam", layer, numbers(*shape, seed=sample), explained, {"upsampling": "bilinear"}, *curves)


MAPS = {
    "pool": [a_map(i, "pool", (3, 3), measured=False) for i in range(SAMPLES)],
    "conv": [a_map(i, "conv", (6, 7), measured=True) for i in range(SAMPLES)],
}


def fill(writer):
    scores = np.arange(SAMPLES, dtype=np.float32)
    write_targets(writer, PREDICTED, "scores", INDEX, scores, np.full(SAMPLES, 0.5))
    for index in (10, 9):
        target = Target("scores", index)
        write_targets(writer, target.slot, "scores", np.full(SAMPLES, index), -scores, None)
    for node, values in GRADIENTS.items():
        write_gradient(writer, PREDICTED, node, 0, 0, values[:2])
        write_gradient(writer, PREDICTED, node, 0, 2, values[2:])
        write_gradient(writer, OTHER.slot, node, 0, 0, -values)
    write_attribution_layers(writer, "grad_cam", PREDICTED, list(MAPS))
    for maps in MAPS.values():
        write_attribution(writer, PREDICTED, maps)
    write_attention(writer, "conv", 0, numbers(SAMPLES, 2, 4, 4))
    write_features(writer, FEATURES)
    write_embedding(writer, EMBEDDING)


def make(path, *calls):
    values = captures.small_values(SAMPLES)
    return captures.write(
        path, captures.small_graph(), values, also=calls or (fill,), transient=path.name.startswith("haste")
    )


@pytest.fixture(scope="module", params=NAMES)
def capture(request, tmp_path_factory):
    return make(tmp_path_factory.mktemp("insights") / request.param)


@pytest.fixture
def folder(tmp_path):
    return make(tmp_path / "run.zarr").path


def same(a, b):
    return all(
        np.array_equal(x, y) and x.dtype == y.dtype if isinstance(x, np.ndarray) else x == y
        for x, y in ((getattr(a, f.name), getattr(b, f.name)) for f in fields(a))
    )


def test_targets(capture):
    for sample in range(SAMPLES):
        first, *others = capture.explanations(sample).targets
        assert first == Explained(PREDICTED, Target("scores", int(INDEX[sample])), float(sample), 0.5)
        assert [(e.target.index, e.score, e.probability) for e in others] == [(9, -sample, None), (10, -sample, None)]
        assert capture.explanations(sample).explained() == first
        assert capture.explanations(sample).explained(OTHER) == others[1]
        assert capture.explanations(sample).explained(Target("scores", 11)) is None


def test_gradients(capture):
    assert capture.has_gradients()
    for sample in range(SAMPLES):
        found = capture.explanations(sample)
        for node, values in GRADIENTS.items():
            assert np.array_equal(found.gradient(node), values[sample])
            assert np.array_equal(found.gradient(node, found.targets[0].target), values[sample])
            assert np.array_equal(found.gradient(node, OTHER), -values[sample])
            assert found.gradient(node, Target("scores", 9)) is None
        assert found.gradient("pool") is None


def test_attributions(capture):
    assert capture.methods == ("grad_cam",)
    for sample in range(SAMPLES):
        found = capture.explanations(sample)
        assert found.attribution_layers("grad_cam") == ("pool", "conv")
        assert same(found.attribution("grad_cam"), MAPS["pool"][sample])
        for layer, maps in MAPS.items():
            assert same(found.attribution("grad_cam", layer=layer), maps[sample])
        assert found.attribution("grad_cam", layer="dense") is None
        assert found.attribution("occlusion") is None
        assert found.attribution("grad_cam", OTHER) is None
    measured, plain = (capture.explanations().attribution("grad_cam", layer=layer) for layer in ("conv", "pool"))
    assert measured.deletion_auc == pytest.approx(0.45)
    assert (plain.deletion_auc, plain.insertion_auc) == (None, None)


def test_attention_features_and_embeddings(capture):
    assert capture.has_attention("conv")
    assert not capture.has_attention("pool")
    assert np.array_equal(capture.explanations(1).attention("conv"), numbers(SAMPLES, 2, 4, 4)[1])
    assert capture.explanations(1).attention("pool") is None
    assert same(capture.features("conv"), FEATURES)
    assert capture.features("pool") is None
    assert capture.embeddings == ("block/dense@1",)
    assert same(capture.embedding("block/dense@1"), EMBEDDING)
    with pytest.raises(CaptureError, match="holds no embedding 'dense'; it was not captured"):
        capture.embedding("dense")


def test_an_embedding_of_nothing_but_points(tmp_path):
    bare = replace(
        EMBEDDING,
        labels=np.empty(0, np.int64),
        predictions=np.empty(0, np.int64),
        probabilities=np.empty(0, np.float32),
        thumbnails=np.empty((0, 0, 0, 3), np.uint8),
        snapshots=np.empty((0, 5, 3), np.float32),
    )
    for name in NAMES:
        found = make(tmp_path / name, lambda writer: write_embedding(writer, bare))
        assert same(found.embedding(bare.name), bare), name


def test_a_capture_without_any(small_capture):
    found = small_capture.explanations(1)
    assert (found.targets, found.explained(), small_capture.methods, small_capture.embeddings) == ((), None, (), ())
    assert found.gradient("conv") is found.attribution("grad_cam") is found.attention("conv") is None
    assert found.attribution_layers("grad_cam") == ()
    assert not small_capture.has_gradients()


def test_in_a_series_each_sample_has_its_own(capture, tmp_path):
    def only_the_other(writer):
        write_targets(writer, OTHER.slot, "scores", np.array([10]), np.array([4.0]), np.array([0.25]))
        write_gradient(writer, OTHER.slot, "conv", 0, 0, GRADIENTS["conv"][:1] * 3)

    values = {name: array[:1] for name, array in captures.small_values().items()}
    later = captures.write(
        tmp_path / "later.zarr.zip", captures.small_graph(), values, also=[only_the_other], transient=True
    )
    series = CaptureSeries.of(capture).plus(later)
    assert [len(series.explanations(i).targets) for i in range(4)] == [3, 3, 3, 1]
    assert series.explanations(3).explained() == Explained(OTHER.slot, OTHER, 4.0, 0.25)
    assert np.array_equal(series.explanations(3).gradient("conv"), GRADIENTS["conv"][0] * 3)
    assert np.array_equal(series.explanations(2).gradient("conv"), GRADIENTS["conv"][2])
    assert attribution_methods(series.stored) == ("grad_cam",)
    assert series.has_gradients()
    assert has_attention(series.stored, "conv")
    assert same(read_features(series.stored, "conv"), FEATURES)
    assert same(read_embedding(series.stored, *embedding_names(series.stored)), EMBEDDING)


def test_slots_name_targets():
    for target in (OTHER, Target("block/dense@1", 0), Target("a [b]", 12), Target("a", 0, against=True)):
        assert Target.of_slot(target.slot) == target
        assert Target.of_text(target.text) == target
        assert "/" not in target.slot
    with pytest.raises(CaptureError, match=r"damaged: 'predicted' names no target. Capture again"):
        Target.of_slot(PREDICTED)


def described(folder, path, change):
    file = folder / path / "zarr.json"
    data = json.loads(file.read_text())
    change(data["attributes"])
    file.write_text(json.dumps(data))


def test_a_lost_chunk_is_noticed(folder):
    chunk_files(folder / "gradients/predicted/conv/@0/0")[0].unlink()
    with pytest.raises(CaptureError, match=r"gradients/predicted/conv/@0/0 lacks part of its numbers\. Capture again"):
        open_capture(folder).explanations().gradient("conv")


@pytest.mark.parametrize(
    ("path", "key", "read"),
    [
        ("targets/predicted", "output", lambda c: c.explanations().targets),
        ("embeddings/block%2Fdense@1", "names", lambda c: c.embedding("block/dense@1")),
        ("embeddings/block%2Fdense@1", "quality", lambda c: c.embedding("block/dense@1")),
    ],
)
def test_array_without_its_description_is_damage(folder, path, key, read):
    described(folder, path, lambda attributes: attributes.pop(key))
    with pytest.raises(CaptureError, match=rf"is damaged: {path} .*{key}\. Capture again"):
        read(open_capture(folder))


def test_listed_map_that_is_missing_is_damage(folder):
    described(folder, "attributions/grad_cam/predicted", lambda attributes: attributes["layers"].insert(0, "dense"))
    with pytest.raises(CaptureError, match="holds no attributions/grad_cam/predicted/dense/@0/values"):
        open_capture(folder).explanations().attribution("grad_cam")


def test_attributes_of_a_group_are_refused_after_its_content(tmp_path):
    def late(writer):
        write_attribution(writer, PREDICTED, MAPS["conv"])
        write_attribution_layers(writer, "grad_cam", PREDICTED, ["conv"])

    with pytest.raises(CaptureError, match="attributions/grad_cam/predicted exists already"):
        make(tmp_path / "run.zarr", late)
    assert list(tmp_path.iterdir()) == []
