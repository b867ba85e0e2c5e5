"""The least number of samples of an embedding, by its method."""

from __future__ import annotations

from typing import get_args

import pytest

from nnviz3d.data.capabilities.embeddings import EMBEDDINGS, METHOD_NAMES, EmbeddingOptions, Method, fewest_embedded
from nnviz3d.data.request import Insights


def refusal(capture, method: Method, count: int) -> str:
    dataset = tuple(f"digits:{i}" for i in range(count))
    options = EmbeddingOptions(method=method)
    return EMBEDDINGS.impossible(capture, Insights(embeddings=("dense",), dataset=dataset, embedding_options=options))


@pytest.mark.parametrize("method", get_args(Method))
def test_each_method_is_refused_below_its_own_least_number_of_samples(small_capture, method):
    fewest = fewest_embedded(method)
    assert fewest == (2 if method == "pca" else 5)
    assert refusal(small_capture, method, fewest) == ""
    words = refusal(small_capture, method, fewest - 1)
    assert words.startswith(f"An embedding by {METHOD_NAMES[method]} needs {fewest} samples or more, and there ")
    assert ("--pca, which needs 2" in words) == (method != "pca")


def test_pca_is_advised_only_where_it_is_possible(small_capture):
    assert refusal(small_capture, "tsne", 2).endswith(
        "there are 2; give a data set with --input, or capture the model with --pca, which needs 2."
    )
    assert refusal(small_capture, "tsne", 1).endswith("there is 1; give a data set with --input.")
