"""PCA by parts equals that of scikit-learn, and neither order of computation nor size of parts shows in its bits."""

import numpy as np
import pytest
from sklearn.decomposition import PCA

from nnviz3d.analysis import reduction
from nnviz3d.analysis.reduction import components, kept_variance, merged, partial_sums, reduced_by
from nnviz3d.errors import ModelError


@pytest.fixture(scope="module")
def vectors() -> np.ndarray:
    """Vectors far from zero, with variances of different size."""
    rng = np.random.default_rng(4)
    mixed = rng.standard_normal((700, 60)) @ (rng.standard_normal((60, 60)) * np.geomspace(3, 0.1, 60)[:, np.newaxis])
    return (mixed + 1000).astype(np.float32)


def test_components_of_merged_parts_are_those_of_all_vectors(vectors):
    sums = merged(partial_sums(part) for part in np.split(vectors, [1, 130, 500]))
    exact = vectors.astype(np.float64)
    np.testing.assert_allclose(sums.scatter, (exact - exact.mean(axis=0)).T @ (exact - exact.mean(axis=0)), rtol=1e-9)
    mean, basis = components(sums, 20)
    reference = PCA(20, svd_solver="full").fit(exact)
    np.testing.assert_allclose(mean, reference.mean_, rtol=1e-6)
    np.testing.assert_allclose(np.abs((basis * reference.components_.T).sum(axis=0)), 1, atol=1e-5)
    assert kept_variance(sums, basis) == pytest.approx(reference.explained_variance_ratio_.sum(), abs=1e-6)
    assert components(partial_sums(vectors[:7]))[1].shape == (60, 7)


def test_rows_are_reduced_to_equal_bits_in_parts_of_any_size(vectors):
    mean, basis = components(partial_sums(vectors))
    whole = reduced_by(vectors, mean, basis)
    np.testing.assert_allclose(whole, (vectors - mean) @ basis, atol=1e-3)
    for size in (1, 37, 256, 699):
        parts = [reduced_by(vectors[k : k + size], mean, basis) for k in range(0, 700, size)]
        assert np.array_equal(np.concatenate(parts), whole)


def test_equal_parts_give_equal_bits(vectors):
    first, again = (components(merged(map(partial_sums, np.array_split(vectors, 5)))) for _ in range(2))
    assert all(np.array_equal(a, b) for a, b in zip(first, again, strict=True))


def test_vectors_that_cannot_be_summed_are_refused(vectors, monkeypatch):
    with pytest.raises(ModelError, match="NaN"):
        partial_sums(np.where(vectors > 1002, np.nan, vectors))
    monkeypatch.setattr(reduction, "WIDEST", 59)
    with pytest.raises(ModelError, match=r"60 outputs, .* at most 59; average each feature map"):
        partial_sums(vectors)
    with pytest.raises(ValueError, match="no parts"):
        merged([])
