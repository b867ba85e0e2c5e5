"""Graph, activations, gradients and picture of each kind of model."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from itertools import combinations, pairwise, product
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

import nnviz3d
from nnviz3d.data.capture import Capture
from nnviz3d.data.request import Insights
from nnviz3d.render.eye import Eye
from nnviz3d.render.picking import pick
from nnviz3d.scene.scene import Scene
from nnviz3d.scene.selection import Selection
from nnviz3d.scene.spec import default_scene
from tests.capture.matrix import reference, table
from tests.capture.matrix.models import CASES, Case
from tests.support.shot import Shot

SIZE = (1600, 900)

pytestmark = pytest.mark.slow


def trained(model: keras.Model) -> keras.Model:
    """Change every float variable from its initial value."""
    rng = np.random.default_rng(5)
    for variable in model.variables:
        if variable.name in {"moving_variance", "variance"}:
            variable.assign(rng.uniform(0.5, 2.0, variable.shape))
        elif variable.name in {"gamma", "gain", "beta", "bias", "moving_mean"}:
            variable.assign(np.asarray(variable) + rng.normal(0.0, 0.3, variable.shape))
    return model


@pytest.fixture(scope="module")
def captured(tmp_path_factory) -> Callable[[Case], tuple[keras.Model, Any, Capture]]:
    """Capture a case once for all tests of the module."""

    @cache
    def make(case: Case) -> tuple[keras.Model, Any, Capture]:
        folder: Path = tmp_path_factory.mktemp("matrix")
        keras.utils.set_random_seed(7)
        keras.backend.clear_session(free_memory=False)
        model = case.build(folder)
        samples = case.samples(np.random.default_rng(3))
        model(reference.as_argument(samples))
        trained(model)
        wanted = Insights(targets=case.targets, gradients=True)
        return model, samples, nnviz3d.capture(model, samples, out=folder / "run.zarr", insights=wanted)

    return make


def edges(text: str) -> set[tuple[str, str]]:
    """Read hand-written chains of edges."""
    found = set()
    for chain in text.split(";"):
        steps = [[name.strip() for name in step.split(",")] for step in chain.split(">")]
        found |= {(a, b) for one, two in pairwise(steps) for a in one for b in two}
    return found


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_graph_has_exactly_the_edges_of_the_model(case: Case, captured):
    _, _, capture = captured(case)
    found = {(edge.source, edge.target) for edge in capture.graph.edges}
    assert found == edges(case.edges)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_activations_equal_those_of_an_eager_run(case: Case, captured):
    model, samples, capture = captured(case)
    expected = reference.run(model, samples)
    given = dict(zip(capture.graph.inputs, keras.tree.flatten(samples), strict=True))
    for node in capture.graph:
        for k in range(len(node.shapes)):
            if not capture.has_activations(node.id, k):
                assert node.id in capture.graph.inputs, node.id  # text
                continue
            found = capture.activations(node.id, k).values
            if node.id in capture.graph.inputs:
                wanted = given[node.id]
            elif node.id in expected:
                wanted = expected[node.id][k]
            else:
                wanted = reference.formula(node, capture, model, expected)
            assert found.shape == wanted.shape, node.id
            assert np.array_equal(found, wanted), (node.id, np.abs(found - wanted).max())


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_gradients_equal_those_of_a_gradient_tape(case: Case, captured):
    model, samples, capture = captured(case)
    explained = [capture.explanations(i).explained(None) for i in range(2)]
    index = np.array([one.target.index for one in explained])
    expected = reference.gradients(model, samples, explained[0].target.output, index)
    compared = 0
    for node in capture.graph:
        wanted = expected.get(node.id, [None])[0]
        for i in range(2):
            found = capture.explanations(i).gradient(node.id)
            if found is None:
                assert wanted is None, node.id
            elif wanted is None:
                assert node.id not in expected or not found.any(), node.id
            else:
                assert found.shape == wanted[i].shape, node.id
                apart = np.linalg.norm(found - wanted[i])
                assert apart <= 2e-5 * np.linalg.norm(wanted[i]) + 1e-12, (node.id, apart, np.linalg.norm(wanted[i]))
                compared += 1
    assert compared


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_picture_shows_and_names_every_layer(case: Case, captured):
    _, _, capture = captured(case)
    scene, selection = Scene.build(default_scene(), capture, aspect=SIZE[0] / SIZE[1]), Selection()
    shot = Shot(scene, SIZE)
    texts = [one.rect for one in shot.placed] + shot.panels
    assert not any(one.overlaps(other) for one, other in combinations(texts, 2))
    what, eye = scene.at(scene.duration), Eye.of(shot.pose, SIZE)

    def at(x: float, y: float) -> str | None:
        hit = pick(what, shot.pose, SIZE, (x, y))
        found = None if hit is None else scene.pick(hit, selection)
        return None if found is None else found.of_layer

    names = {word.removeprefix("→ ").rpartition("/")[2].strip() for word in shot.words()}
    for node in capture.graph:
        corners, _ = eye.project(np.array(scene.around(node.id)))
        low, high = corners.min(axis=0), corners.max(axis=0)
        assert (low >= 0).all(), f"{node.id} is cut"
        assert (high <= SIZE).all(), f"{node.id} is cut"
        inner = (np.linspace(a, b, 15)[1:-1] for a, b in zip(low, high, strict=True))
        assert any(at(x, y) == node.id for x, y in product(*inner)), f"{node.id} has no pixels"
        if node.parameters or node.id in capture.graph.inputs or node.id in capture.graph.outputs:
            assert node.name in names, f"{node.id} has no name in the picture"


def test_documentation_has_this_table():
    assert table.PAGE.read_text(encoding="utf-8") == table.text()
