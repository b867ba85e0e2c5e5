"""Picks in the browser are the same as those of `nnviz3d.render.picking`."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import fields, replace
from typing import Any

import numpy as np
import pytest

from nnviz3d.apps import turntable
from nnviz3d.client.encoding import Encoder
from nnviz3d.render import picking
from nnviz3d.scene.camera import CameraPose, Margins, between, fit
from nnviz3d.scene.hits import Hit
from nnviz3d.scene.primitives import Box, DrawList, Lines, Points, Primitive, Ridges, Surface, Tiles, Voxels
from nnviz3d.scene.selection import Selection
from tests.support.blocks import block, looking, picture_of
from tests.support.client import page_with, send
from tests.support.gallery import READY
from tests.support.scenes import bundled_scene

pytestmark = pytest.mark.chromium

SIZE = (1280, 720)
RAYS = 100
"""Rays through each picture, half of them near what it shows."""
TIES = 0.004
"""Share of rays that run so close to an edge that the last bit of a sum decides."""
_PICK = """({ frame, pose, size, points }) => {
  const drawList = store.frame(frame);
  const index = new Map(drawList.primitives.map((primitive, i) => [primitive, i]));
  return points.map((at) => {
    const hit = client.pick(drawList, pose, size, at);
    return hit && { ...hit, primitive: index.get(hit.primitive) };
  });
}"""


@pytest.fixture(scope="module")
def page(chromium: Any) -> Any:
    return page_with(chromium, "camera.js", "picking.js")


def as_given(pose: CameraPose) -> dict[str, Any]:
    return {field.name: getattr(pose, field.name) for field in fields(pose)}


def in_words(hit: Hit | None, what: DrawList) -> dict[str, Any] | None:
    """Return a hit as the browser gives it."""
    if hit is None:
        return None
    found = {field.name: getattr(hit, field.name) for field in fields(hit)}
    if "cell" in found:
        found["cell"] = list(found["cell"])
    number = next(i for i, primitive in enumerate(what.primitives) if primitive is hit.primitive)
    return {"kind": type(hit).__name__, **found, "primitive": number}


def poses_of(overview: CameraPose, rng: np.random.Generator) -> list[CameraPose]:
    """Return the overview, a turned pose, and one that is near or inside the scene."""
    arm = np.subtract(overview.position, overview.target)
    poses = [overview]
    for distance in (0.7, 0.12):
        turn = rng.uniform(-1.2, 1.2)
        c, s = math.cos(turn), math.sin(turn)
        turned = np.array([c * arm[0] + s * arm[2], arm[1] * rng.uniform(-0.5, 2), c * arm[2] - s * arm[0]])
        target = np.array(overview.target) + rng.normal(0, 0.05, 3) * np.linalg.norm(arm)
        poses.append(replace(overview, position=tuple(target + turned * distance), target=tuple(target)))
    return poses


def places_of(primitive: Primitive) -> np.ndarray:
    """Return points of the world that a primitive shows, ``(n, 3)``."""
    match primitive:
        case Points() | Lines():
            return primitive.points.reshape(-1, 3)
        case Surface():
            return primitive.points.reshape(-1, 3)
        case Tiles():
            return primitive.origins + (np.array(primitive.right) + primitive.up) * primitive.size[0] / 2
        case Ridges():
            x, y = np.broadcast_arrays(primitive.along, primitive.heights[:, :, 1])
            return (primitive.feet[:, np.newaxis] + np.stack([x, y, 0 * y], axis=-1)).reshape(-1, 3)
        case Voxels() | Box():
            return np.array(primitive.origin) + np.array(primitive.size) * np.random.default_rng(0).random((50, 3))
    return np.empty((0, 3))


def points_of(what: DrawList, pose: CameraPose, rng: np.random.Generator) -> np.ndarray:
    """Return points of the picture, half of them within some pixels of places that it shows, the same for each kind."""
    near = []
    for kind in sorted({type(primitive) for primitive in what.primitives}, key=str):
        places = np.concatenate([places_of(primitive) for primitive in what.primitives if type(primitive) is kind])
        places = places[np.isfinite(places).all(axis=1)]
        if len(places):
            near.append(rng.choice(places, RAYS))
    screen, _ = picking.Eye.of(pose, SIZE).project(rng.permutation(np.concatenate(near)))
    screen = screen[((screen > 0) & (screen < SIZE)).all(axis=1)][: RAYS // 2]
    return np.concatenate([rng.uniform((0, 0), SIZE, (RAYS // 2, 2)), screen + rng.normal(0, 4, screen.shape)])


def compared(page: Any, what: DrawList, pose: CameraPose, points: np.ndarray, encoder: Encoder) -> Counter:
    """Pick on both sides; returns how often each kind was hit, and how often the hits differ."""
    frame = encoder.frame(what)
    send(page, encoder)
    points = points.tolist()
    given = page.evaluate(_PICK, {"frame": frame, "pose": as_given(pose), "size": SIZE, "points": points})
    counts: Counter = Counter(rays=len(points))
    for at, found in zip(points, given, strict=True):
        wanted = in_words(picking.pick(what, pose, SIZE, tuple(at)), what)
        counts["nothing" if wanted is None else wanted["kind"]] += 1
        counts["different"] += found != wanted
    return counts


@pytest.mark.parametrize("name", READY)
def test_picks_in_a_bundled_scene_are_those_of_python(page: Any, name: str) -> None:
    scene, rng, encoder, counts = bundled_scene(name), np.random.default_rng(READY.index(name)), Encoder(), Counter()
    for t in (scene.duration, 0.6 * scene.duration):
        what = scene.at(t, Selection())
        for pose in poses_of(scene.overview(aspect=16 / 9), rng):
            counts += compared(page, what, pose, points_of(what, pose, rng), encoder)

    assert counts["nothing"] < 0.85 * counts["rays"], counts
    assert counts["different"] <= TIES * counts["rays"], counts


VALUES = np.random.default_rng(3).normal(size=(19, 11, 5)).astype(np.float32)
VALUES[2, 3, 1], VALUES[5, 5, 2] = np.nan, np.inf


@pytest.mark.parametrize(
    "changes",
    [
        {"threshold": 1.2},
        {"since": 0.2, "reveal": 0.7, "cell": (0.4, 1.0, 2.0)},
        {"count": 150, "threshold": 0.3, "origin": (-3.0, 2.0, 1.0)},
    ],
)
def test_picks_of_cells_are_those_of_python(page: Any, changes: dict[str, Any]) -> None:
    what, encoder = picture_of(block(VALUES, **changes)), Encoder()
    points = np.random.default_rng(1).uniform((0, 0), SIZE, (300, 2))
    for angles, distance in (((-30.0, 16.0), 40.0), ((70.0, -50.0), 25.0)):
        counts = compared(page, what, looking(angles, distance), points, encoder)
        assert counts["CellHit"] > 15
        assert not counts["different"]


def close(found: Any, wanted: CameraPose) -> None:
    for field in fields(wanted):
        np.testing.assert_allclose(found[field.name], getattr(wanted, field.name), rtol=1e-9, atol=1e-12)


def test_poses_are_those_of_python(page: Any) -> None:
    rng = np.random.default_rng(0)
    for _ in range(20):
        position, target = tuple(rng.normal(0, 9, 3)), tuple(rng.normal(0, 2, 3))
        pose = CameraPose(position, target, field_of_view=float(rng.uniform(15, 60)))
        other = CameraPose(tuple(rng.normal(0, 9, 3)), target, field_of_view=pose.field_of_view)
        a, b, factor = *rng.uniform(-80, 80, 2), float(rng.uniform(0.5, 2))
        points, margins = rng.normal(0, 5, (9, 3)), Margins(0.1, 0.05, 0.2, 0.15)
        found = page.evaluate(
            """({ pose, other, a, b, factor, points, margins, fov }) => [
              client.orbitPose(pose, a, b), client.panPose(pose, a / 90, b / 90),
              client.zoomPose(pose, factor, [a / 90, b / 90]), client.betweenPoses(pose, other, 0.3),
              client.fitPose(points, a, b, { aspect: 1.5, margins }, fov),
            ]""",
            {
                "pose": as_given(pose),
                "other": as_given(other),
                "a": a,
                "b": b,
                "factor": factor,
                "points": points.tolist(),
                "margins": vars(margins),
                "fov": pose.field_of_view,
            },
        )
        wanted = [
            turntable.orbit(pose, a, b),
            turntable.pan(pose, a / 90, b / 90),
            turntable.zoom(pose, factor, (a / 90, b / 90)),
            between(pose, other, 0.3),
            fit(points, a, b, aspect=1.5, margins=margins, field_of_view=pose.field_of_view),
        ]
        for one, expected in zip(found, wanted, strict=True):
            close(one, expected)


def test_close_up_holds_the_block_under_the_pointer(page: Any) -> None:
    a, b = block(VALUES, name="a"), block(VALUES, name="b", origin=(40.0, 0.0, 0.0), threshold=99.0)
    what, pose, encoder = picture_of(a, b), looking((-30.0, 16.0), 120.0), Encoder()
    frame = encoder.frame(what)
    send(page, encoder)
    low, size = np.array(b.origin), np.array(b.size)
    (at,), _ = picking.Eye.of(pose, SIZE).project((low + size / 2)[np.newaxis])
    script = "({ frame, pose, size, at }) => client.closeUpPose(store.frame(frame), pose, size, at)"
    given = {"frame": frame, "pose": as_given(pose), "size": SIZE, "at": at.tolist()}
    found = CameraPose(**page.evaluate(script, given))
    corners = low + size * np.array([[x, y, z] for x in (0, 1) for y in (0, 1) for z in (0, 1)])
    screen, depth = picking.Eye.of(found, SIZE).project(corners)
    assert (depth > 0).all()
    assert ((screen > 0) & (screen < SIZE)).all()
    assert (np.ptp(screen, axis=0) / SIZE).max() > 0.5
    assert page.evaluate(script, given | {"at": [5, 5]}) is None
