"""Many small blocks drawn by one actor have exactly the pixels of blocks drawn one by one."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from nnviz3d.render import voxel_atlas
from nnviz3d.render.offscreen import Offscreen
from nnviz3d.render.picking import pick
from nnviz3d.render.voxel_atlas import LEAST, MOST_CELLS, VoxelAtlasActor, drawn_together, side_by_side
from nnviz3d.render.voxel_packing import pack_all
from nnviz3d.render.voxels import pack
from nnviz3d.scene.camera import CameraPose, fit
from nnviz3d.scene.colors import colormap
from nnviz3d.scene.primitives import DrawList, Voxels
from nnviz3d.scene.scene import Scene
from nnviz3d.scene.selection import CellPick, LayerPick, Selection
from nnviz3d.scene.spec import default_scene
from tests.support.captures import write
from tests.support.graphs import chain
from tests.support.pinhole import to_pixels
from tests.support.shot import Shot

SIZE = (480, 320)


def blocks(count: int, seed: int = 0) -> list[Voxels]:
    """Blocks of many shapes and looks, in rows."""
    random = np.random.default_rng(seed)
    found = []
    for k in range(count):
        shape = tuple(int(n) for n in random.integers(1, 12, 3))
        values = random.normal(size=shape).astype(np.float32)
        values[random.random(shape) < 0.2] = random.choice([np.nan, np.inf, -np.inf, 0.0])
        since, reveal = sorted(random.uniform(-0.3, 1.3, 2).clip(0, 1)) if k % 3 == 0 else (0.0, 1.0)
        found.append(
            Voxels(
                f"block {k}",
                values,
                (14.0 * (k % 12), 14.0 * (k // 12), 0.0),
                tuple(random.uniform(0.4, 1.1, 3)),
                colormap(("inferno", "gray", "viridis")[k % 3]) if k % 2 else colormap("inferno"),
                (-float(random.uniform(1, 2)), 2.0),
                threshold=float(random.choice([0.0, 0.5, 1.5])),
                count=shape[0] * shape[1] - 1 if k % 4 == 0 else None,
                reveal=float(reveal),
                since=float(since),
                emphasis=float(random.choice([1.0, 0.3])),
                front=float(random.random()) if k % 5 == 0 else None,
                glow=float(random.choice([0.0, 0.4])),
            )
        )
    return found


def poses(drawn: list[Voxels]) -> list[CameraPose]:
    corners = np.array([one.origin for one in drawn] + [np.add(one.origin, one.size) for one in drawn])
    far = fit(corners, -30.0, 25.0, aspect=SIZE[0] / SIZE[1])
    near = fit(corners[len(drawn) : len(drawn) + 3], 140.0, -20.0, aspect=SIZE[0] / SIZE[1])
    return [far, near]


def changed(drawn: list[Voxels]) -> list[list[Voxels]]:
    """The same blocks, and what may become of them one after the other."""
    other = blocks(len(drawn), seed=1)
    faint = [replace(one, emphasis=0.5, threshold=0.7) for one in drawn]
    newer = [replace(one, values=one.values[::-1].copy()) if k % 2 else one for k, one in enumerate(drawn)]
    moved = [replace(one, origin=tuple(np.add(one.origin, 1.5))) for one in drawn]
    return [drawn, faint, newer, moved, other, drawn[:-3], [*drawn, *blocks(5, seed=2)[4:]], drawn]


@pytest.mark.slow
def test_pixels_are_those_of_blocks_drawn_one_by_one(monkeypatch: pytest.MonkeyPatch):
    drawn = blocks(LEAST + 12)
    together, alone = Offscreen(SIZE, antialias=False), Offscreen(SIZE, antialias=False)
    for state in changed(drawn):
        for pose in poses(drawn):
            picture = together.picture(DrawList(tuple(state)), pose)
            assert isinstance(together.renderer._atlas, VoxelAtlasActor)
            with monkeypatch.context() as patch:
                patch.setattr(voxel_atlas, "LEAST", 10**9)
                expected = alone.picture(DrawList(tuple(state)), pose)
            assert alone.renderer._atlas is None
            assert len(np.unique(expected.reshape(-1, 3), axis=0)) > 100
            assert np.array_equal(picture, expected)
    few = DrawList(tuple(drawn[:3]))
    assert np.array_equal(together.picture(few, poses(drawn)[0]), alone.picture(few, poses(drawn)[0]))
    assert together.renderer._atlas is None
    together.close()
    alone.close()


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Scene:
    """A network of more small blocks than `LEAST`."""
    nodes = [("input", "InputLayer", (5, 5, 3)), *((f"conv_{k}", "Conv2D", (5, 5, 4)) for k in range(LEAST + 10))]
    random = np.random.default_rng(5)
    values = {name: random.normal(size=(1, *shape)).astype(np.float32) for name, _, shape in nodes}
    capture = write(tmp_path_factory.mktemp("many") / "run.zarr", chain(nodes), values)
    return Scene.build(default_scene().model_copy(update={"groups": "open"}), capture, aspect=SIZE[0] / SIZE[1])


@pytest.mark.parametrize(
    "selection",
    [
        Selection(),
        Selection(layer="conv_7"),
        Selection(threshold=0.8, colormap="gray"),
        Selection(pick=CellPick("conv_20", (1, 2, 3))),
        Selection(pick=LayerPick("conv_30")),
    ],
    ids=("plain", "layer", "look", "cell", "block"),
)
def test_scene_has_the_same_pixels_in_every_look(scene, selection, monkeypatch):
    pose = scene.camera(scene.duration, aspect=SIZE[0] / SIZE[1])
    drawn = scene.at(scene.duration, selection)
    together = Offscreen(SIZE, antialias=False)
    picture = together.picture(drawn, pose)
    assert isinstance(together.renderer._atlas, VoxelAtlasActor)
    together.close()
    monkeypatch.setattr(voxel_atlas, "LEAST", 10**9)
    alone = Offscreen(SIZE, antialias=False)
    assert np.array_equal(picture, alone.picture(drawn, pose))
    alone.close()


def test_block_whose_label_has_no_room_is_reached_by_a_click(scene):
    shot = Shot(scene, SIZE)
    unnamed = [node.id for node in scene.context.graph if node.name not in shot.words()]
    assert len(unnamed) > 10
    drawn, within = scene.at(scene.duration), np.random.default_rng(6).uniform(0.1, 0.9, (20, 3))
    reached = set()
    for name in unnamed:
        placement = scene.context.placement(name)
        for column, row in to_pixels(np.array(placement.origin) + within * placement.size, shot.pose, SIZE):
            hit = pick(drawn, shot.pose, SIZE, (column, row))
            found = None if hit is None else scene.pick(hit, Selection())
            reached.add(None if found is None else found.of_layer)
    assert set(unnamed) <= reached


def test_large_blocks_and_few_blocks_are_drawn_alone():
    many = {one.name: one for one in blocks(LEAST)}
    large = replace(blocks(1)[0], name="large", values=np.ones((MOST_CELLS + 1, 1, 1), dtype=np.float32))
    assert list(drawn_together(many | {"large": large})) == list(many)
    assert drawn_together(dict([*many.items()][1:]) | {"large": large}) == {}


def test_grids_packed_together_are_packed_as_each_alone():
    random = np.random.default_rng(4)
    shapes = [(8, 8, 8), (1, 1, 1), (3, 7, 2), (5, 5, 5), (16, 16, 9), (64, 1, 1)]
    grids = []
    for shape in shapes * 4:
        grid = random.choice([0.0, 1e-45, 0.5, 0.5, 2.0], shape).astype(np.float32) * random.choice([-1, 1], shape)
        if len(grids) % 2:
            grid = random.normal(size=shape)
        grid[random.random(shape) < 0.05] = random.choice([np.nan, np.inf, -np.inf])
        grids.append(np.asarray(grid, dtype=np.float32))
    grids.append(np.zeros((8, 8, 8), dtype=np.float32))
    grids.append(grids[0].transpose(2, 0, 1))
    for grid, found in zip(grids, pack_all(grids), strict=True):
        expected = pack(grid)
        assert (found.across, found.levels_across, found.pairs) == (
            expected.across,
            expected.levels_across,
            expected.pairs,
        )
        for name in ("atlas", "levels", "bounds"):
            one, other = getattr(found, name), getattr(expected, name)
            assert (one.dtype, one.shape) == (other.dtype, other.shape)
            assert np.array_equal(one, other, equal_nan=True)


def test_pictures_side_by_side_do_not_overlap():
    random = np.random.default_rng(3)
    pictures = [np.full((*random.integers(1, 30, 2), 2), k + 1, dtype=np.int32) for k in range(70)]
    whole, places = side_by_side(pictures)
    for picture, (x, y) in zip(pictures, places, strict=True):
        assert np.array_equal(whole[y : y + picture.shape[0], x : x + picture.shape[1]], picture)
    assert np.count_nonzero(whole) == sum(picture.size for picture in pictures)
