"""Data sets, generators and tables in Python as samples of a live model."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

import nnviz3d
from nnviz3d.api.command_arguments import CommandArguments
from nnviz3d.data.batches import first_batch, labels_in
from nnviz3d.errors import SampleError

pytestmark = pytest.mark.tensorflow
X = np.random.default_rng(0).normal(size=(6, 4)).astype(np.float32)
Y = np.array([0, 2, 1, 1, 0, 2])


@pytest.fixture(scope="module")
def model():
    return keras.Sequential([keras.Input((4,), name="x"), layers.Dense(3, activation="softmax", name="out")])


class Batches(keras.utils.PyDataset):
    def __len__(self):
        return 3

    def __getitem__(self, i):
        return X[2 * i : 2 * i + 2], np.eye(3)[Y[2 * i : 2 * i + 2]]


def generator():
    while True:
        yield X[:2], Y[:2, None]


def with_names():
    made = tf.data.Dataset.from_tensor_slices((X, Y)).batch(2)
    made.class_names = ["ant", "bee", "cat"]
    return made


@pytest.mark.parametrize(
    ("data", "count"),
    [
        (with_names, 2),
        (lambda: tf.data.Dataset.from_tensor_slices((X, Y, np.ones(6))).batch(2).repeat(), 2),
        (lambda: tf.data.Dataset.from_tensor_slices((X, Y)), 1),
        (generator, 2),
        (Batches, 2),
    ],
    ids=["named", "weighted", "unbatched", "generator", "PyDataset"],
)
def test_first_batch_of_a_data_set_is_captured_with_its_labels(model, tmp_path, data, count):
    run = nnviz3d.capture(model, data(), out=tmp_path / "run.zarr")
    assert np.array_equal(run.activations("x").values, X[:count])
    assert np.allclose(run.activations("out").values, model.predict(X[:count], verbose=0), atol=1e-6)
    assert run.labels.tolist() == Y[:count].tolist()
    assert run.classes == (("ant", "bee", "cat") if data is with_names else None)


def test_data_set_without_labels_and_an_empty_one(model, tmp_path):
    run = nnviz3d.capture(model, tf.data.Dataset.from_tensor_slices(X).batch(3), out=tmp_path / "run.zarr")
    assert run.committed == 3
    assert run.labels is None
    with pytest.raises(SampleError, match="x yields no samples"):
        nnviz3d.capture(model, iter([]), out=tmp_path / "run.zarr")
    for y in (X[:, 0], X[:, :2], np.array([["a"]]), {"a": Y}, np.array([-1, 0])):
        assert labels_in(y) is None
    assert first_batch(X) is first_batch("x.npy") is first_batch([X]) is first_batch(tf.constant(X)) is None


class Frame:
    """A stand-in for a table of pandas."""

    def __init__(self, **columns):
        self._columns = columns
        self.columns = list(columns)

    def __contains__(self, name):
        return name in self._columns

    def __iter__(self):
        return iter(self._columns)

    def __getitem__(self, name):
        return self._columns[name]

    def to_numpy(self):
        return np.stack(list(self._columns.values()), axis=1)

    def __array__(self, dtype=None, copy=None):
        return self.to_numpy()

    def to_csv(self, path, *, index):
        assert not index
        lines = [",".join(self.columns), *(",".join(map(str, row)) for row in self.to_numpy())]
        path.write_text("\n".join(lines) + "\n")


def test_table_of_pandas_gives_its_columns_by_name_or_all_to_the_one_input(model, tmp_path):
    names = ("a", "b", "c", "d")
    run = nnviz3d.capture(model, Frame(**dict(zip(names, X.T, strict=True))), out=tmp_path / "run.zarr")
    assert run.unit_names("x") == names
    assert np.array_equal(run.activations("x").values, X)
    parts = [keras.Input((1,), name=name) for name in ("b", "a")]
    several = keras.Model(parts, layers.Concatenate(name="all")(parts))
    run = nnviz3d.capture(several, Frame(a=X[:, 0], b=X[:, 1], c=X[:, 2]), out=tmp_path / "run.zarr")
    assert np.array_equal(run.activations("all").values, X[:, [1, 0]])
    with pytest.raises(SampleError, match=r"x has nothing for the input b; it has a, c\."):
        nnviz3d.capture(several, Frame(a=X[:, 0], c=X[:, 2]), out=tmp_path / "run.zarr")
    with pytest.raises(SampleError, match=r"x has nothing for the input b; it has a, B\."):
        nnviz3d.capture(several, {"a": X[:, 0], "B": X[:, 1]}, out=tmp_path / "run.zarr")


def test_data_sets_and_tables_for_a_model_file_are_written_to_a_file():
    arguments = CommandArguments()
    try:
        (path,) = arguments._sources(Batches())
        with np.load(path) as held:
            assert np.array_equal(held["x"], X[:2])
            assert held["labels"].tolist() == Y[:2].tolist()
        (path,) = arguments._sources(Frame(a=Y, b=Y + 1))
        assert path.endswith("x.csv")
    finally:
        arguments.close()
