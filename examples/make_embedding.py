"""Embed digits as points by a layer of the bundled network, as in the scene `embedding`.

    python examples/make_embedding.py

writes ``embedding.zarr`` from the 1,000 bundled digits, and prints the quality of the embedding.
``nnviz3d serve embedding.zarr`` shows the points. The bundled capture is made by
``python examples/make_embedding.py --out scenes/embedding.zarr.zip``.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from nnviz3d import Insights, open_capture
from nnviz3d.apps.worker import run_capture
from nnviz3d.data.bundled import bundled
from nnviz3d.data.capabilities.embeddings import EmbeddingOptions
from nnviz3d.data.request import CaptureRequest


def main() -> None:
    """Capture, and print the quality."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--layer", default="dense", help="the layer to embed; by default dense, the last but one")
    parser.add_argument("--dataset", default="digits:0-999", help="the samples; by default digits:0-999")
    parser.add_argument("--method", choices=("tsne", "pca"), default="tsne", help="by default tsne")
    parser.add_argument("--out", type=Path, default=Path("embedding.zarr"), help="by default embedding.zarr")
    asked = parser.parse_args()
    wanted = Insights(
        embeddings=(asked.layer,),
        dataset=(asked.dataset,),
        embedding_options=EmbeddingOptions(method=asked.method),
    )
    request = CaptureRequest(
        model=str(bundled("digits.keras")), inputs=("digits:0",), out=asked.out.absolute(), insights=wanted
    )
    run_capture(request)
    found = open_capture(asked.out).embedding(asked.layer)
    right = (found.labels == found.predictions).mean()
    print(f"{len(found.points):,} points by {asked.method} of {asked.layer}; {right:.1%} are classified correctly.")
    print(", ".join(f"{name} {value:.3f}" for name, value in found.quality.items()))
    print(f"To see the points: nnviz3d serve {asked.out}")


if __name__ == "__main__":
    main()
