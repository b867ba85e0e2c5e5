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
    # The client's scripts, styles and shaders, and the page's own files.
    for folder in ("nnviz3d/client/static", "nnviz3d/apps/web/static", "nnviz3d/render/shaders"):
        files = {file.relative_to(REPOSITORY).as_posix() for file in (REPOSITORY / folder).rglob("*") if file.is_file()}
        assert len(files) > 4
        assert files <= names
    assert not any(name.startswith(("tests/", "scenes/", "docs/")) for name in names)


@pytest.fixture(scope="module")
def site(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    site = tmp_path_factory.mktemp("site")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(site)
    return site


def run_installed(site: Path, folder: Path, *arguments: str) -> str:
    """Run a command of the installed wheel in a folder; returns its standard output."""
    code = (
        "import sys, nnviz3d; assert nnviz3d.__file__.startswith(sys.argv.pop(1)); from nnviz3d.cli import main; main()"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(site), *arguments],
        capture_output=True,
        text=True,
        check=False,
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(site)},
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_installed_wheel_finds_its_scenes(site: Path, tmp_path: Path):
    assert len(json.loads(run_installed(site, tmp_path, "inspect", "--json"))["nodes"]) == 9


def test_installed_wheel_exports_a_page_with_all_scripts(site: Path, tmp_path: Path):
    run_installed(site, tmp_path, "export", "-o", "digits.html")
    page = (tmp_path / "digits.html").read_text(encoding="utf-8")
    assert "class Viewer" in page
    assert "voxels.frag.glsl" in page
