"""Export as vector graphics, NET.svg and NET.pdf: the structure, the curves of a training, or an embedding."""

from __future__ import annotations

import re
import sys
import warnings
from io import BytesIO
from typing import TYPE_CHECKING

from nnviz3d.apps.export import ExportJob
from nnviz3d.apps.export.charts import curves_figure, scatter_figure
from nnviz3d.apps.export.structure_figure import structure_figure
from nnviz3d.apps.whole_files import write_whole
from nnviz3d.data.files.paths import quoted
from nnviz3d.scene.primitives import Points
from nnviz3d.scene.scene import Scene

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_FONT = "DejaVu Sans"
"""Font of the text; it comes with matplotlib, which measures and embeds it."""
_OTHERS = b", Verdana, Arial, sans-serif"
"""Fonts of an SVG file where the first one is missing; they are not wider."""


def write_vector_file(job: ExportJob) -> None:
    """Write what the scene shows, as vector graphics whose text is text.

    A scene of points gives a scatter chart. A scene with a view of a training gives its curves. All others give the
    structure of the network as it is laid out. Which one it is, is told first, and what the file leaves out of the scene.

    Raises
    ------
    UserError
        If the file cannot be written.
    """
    from matplotlib import rc_context

    settings = {"svg.fonttype": "none", "svg.hashsalt": "nnviz3d", "pdf.fonttype": 42, "font.family": _FONT}
    scene = job.scene()
    out = BytesIO()
    kind = job.out.suffix.lower().removeprefix(".")
    date = {"Date": None} if kind == "svg" else {"CreationDate": None}
    with rc_context(settings), warnings.catch_warnings():
        # A browser takes letters that the first font lacks from another one.
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")
        figure, words = _figure(scene, job)
        print(f"{quoted(job.out.name)}: {words}", file=sys.stderr)
        figure.savefig(out, format=kind, metadata={"Title": scene.title(job.selection.sample), **date})
    data = out.getvalue()
    if kind == "svg":
        data = re.sub(rb"(\bfont(?:-family)?: [^;\"<]*'%b')" % _FONT.encode(), rb"\1" + _OTHERS, data)
    write_whole(job.out, data)


def _figure(scene: Scene, job: ExportJob) -> tuple[Figure, str]:
    """Return the chart or the picture that suits a scene, and what it is."""
    moment = scene.first_time
    context = scene.as_of(moment, job.selection).context
    if not scene.blocks:
        clouds = [one for one in scene.at(moment, job.selection).primitives if isinstance(one, Points)]
        cloud = next((one for one in clouds if one.source is not None and one.source.view == "embedding"), None)
        if cloud is not None:
            return scatter_figure(cloud, scene, job.selection), "the points of the embedding from the front"
    training = context.capture.training
    views = {view.kind: view for view in scene.spec.views}
    if training is not None and len(training) and {"training", "history"} & set(views):
        return curves_figure(training, scene, job.selection), "the curves of the training"
    words = "the structure of the network"
    others = [kind for kind in views if kind != "structure"]
    if others:
        words += f", without the scene's {', '.join(others)}, which .html, .glb and pictures show"
    return structure_figure(scene, job.selection), words
