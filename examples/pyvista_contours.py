"""Look into a layer with PyVista: a surface of equal activation, in the picture of the network.

    python examples/pyvista_contours.py

Writes ``pyvista.png`` from the bundled capture of the digits network; ``--show`` opens a window instead. Each layer is an
``ImageData`` with its exact numbers, so all filters of PyVista work on it.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import nnviz3d

LAYER = "conv2d"
SHARE = 0.3
"""Level of the surface as a share of the layer's largest number."""


def main() -> None:
    """Draw the surface and the last channel in place of the layer's cells."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--out", type=Path, default=Path("pyvista.png"), help="the picture to write")
    parser.add_argument("--show", action="store_true", help="open a window instead")
    options = parser.parse_args()

    plotter = nnviz3d.plotter("digits", plotter_options={"off_screen": not options.show, "window_size": (1280, 720)})
    block = nnviz3d.to_pyvista("digits")["layers"][LAYER]

    # The numbers belong to cells; a surface of equal values needs them at points.
    level = SHARE * block["activation"].max()
    surface = block.cell_data_to_point_data().contour([level], scalars="activation")
    plotter.remove_actor(LAYER)
    plotter.add_mesh(surface, color="#ffb454", smooth_shading=True, specular=0.3, name="surface")
    x, y, z = block.origin
    plane = block.slice(normal="z", origin=(x, y, z + block.spacing[2] / 2))  # the last channel, at the back
    plotter.add_mesh(plane, scalars="activation", cmap="inferno", lighting=False, show_scalar_bar=False, name="plane")

    print(f"{LAYER}: {block.n_cells:,} numbers; {surface.n_cells:,} triangles at activation {level:.3g}")
    if options.show:
        plotter.show()
    else:
        plotter.screenshot(options.out)
        print(f"Wrote {options.out}")


if __name__ == "__main__":
    main()
