from __future__ import annotations

import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

REPOSITORY = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(out), str(REPOSITORY)]
    built = subprocess.run(command, capture_output=True, text=True, check=False)
    assert built.returncode == 0, built.stderr
    return next(out.glob("nnviz3d-*.whl"))


def test_wheel_holds_what_the_product_needs(wheel: Path):
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
    for needed in (
        "nnviz3d/py.typed",
        "nnviz3d/scenes/digits.toml",
        "nnviz3d/scenes/structure.toml",
        "nnviz3d/scenes/digits.keras",
        "nnviz3d/scenes/digits.npz",
        "nnviz3d/scenes/digits.zarr.zip",
        "nnviz3d/scenes/NOTICE.md",
        "nnviz3d/render/shaders/voxels.frag.glsl",
        "nnviz3d/render/fonts/Inter-Regular.otf",
        "nnviz3d/render/fonts/OFL.txt",
    ):
        assert needed in names
    assert not any(name.startswith(("tests/", "scenes/", "docs/")) for name in names)


def test_installed_wheel_finds_its_scenes(wheel: Path, tmp_path: Path):
    site = tmp_path / "site"
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(site)
    code = (
        "import sys, nnviz3d; assert nnviz3d.__file__.startswith(sys.argv.pop(1)); from nnviz3d.cli import main; main()"
    )
    shown = subprocess.run(
        [sys.executable, "-c", code, str(site), "inspect", "--json"],
        capture_output=True,
        text=True,
        check=False,
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(site)},
    )
    assert shown.returncode == 0, shown.stderr
    assert len(json.loads(shown.stdout)["nodes"]) == 9
