"""Whole captures: activations, weights, samples, notes and provenance as they are stored."""

import os
import re
import signal
import threading
import time
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

from nnviz3d.capture import capture_model as stages
from nnviz3d.capture.capture_model import capture_model
from nnviz3d.capture.capture_settings import CaptureSettings
from nnviz3d.capture.inputs.class_files import imagenet_classes, read_classes
from nnviz3d.capture.loading.load import load_model
from nnviz3d.capture.model_cache import CachedModel
from nnviz3d.capture.programs.flat_program import expected_inputs, open_model
from nnviz3d.capture.programs.trace import tokens
from nnviz3d.data.bundled import bundled
from nnviz3d.data.capture import open_capture
from nnviz3d.data.request import Notice, Progress
from nnviz3d.errors import ModelError, SampleError, UserError
from tests.capture import zoo


def capture(tmp_path, source, inputs=(), *, weights=None, **options):
    loaded = load_model(str(source), weights=weights)
    kept = CachedModel(loaded)
    samples = kept.samples(inputs, seed=options.get("seed", 0))
    events = []
    finished = capture_model(
        kept.traced, samples, CaptureSettings(tmp_path / "run.zarr", **options), events.append, kept.samples
    )
    return open_capture(tmp_path / "run.zarr"), events, finished


def test_capture_of_the_bundled_digits_equals_the_model_and_its_data(tmp_path):
    capture_, events, finished = capture(tmp_path, bundled("digits.keras"), ["digits:0-99"])
    model = keras.saving.load_model(bundled("digits.keras"))
    with np.load(bundled("digits.npz"), allow_pickle=False) as file:
        images, labels = file["images"][:100], file["labels"][:100]
    own = model.predict(images[..., None].astype("float32") / 255, verbose=0)
    assert [node.id for node in capture_.graph] == ["input", *(layer.name for layer in model.layers)]
    assert np.array_equal(capture_.activations("dense_1").values, own)
    assert np.mean(own.argmax(1) == labels) > 0.97
    assert np.array_equal(capture_.labels, labels)
    assert capture_.classes == tuple("0123456789")
    assert np.array_equal(capture_.picture("input", 7)[..., 0], images[7])
    assert np.array_equal(capture_.input("input", 7), images[7, ..., None].astype("float32") / 255)
    assert np.array_equal(capture_.weights("conv2d")["kernel"], model.layers[0].kernel.numpy())
    assert capture_.complete
    assert (finished.samples, finished.nodes) == (100, 9)
    assert {"trace", "forward", "write", "connections"} <= set(finished.seconds)
    assert [e.done for e in events if isinstance(e, Progress) and e.stage == "forward"] == [0, 32, 64, 96, 100]


def test_provenance_names_model_preprocessing_samples_and_versions(tmp_path):
    capture_, events, _ = capture(tmp_path, bundled("digits.keras"), ["digits:7"], seed=5)
    p = capture_.provenance
    assert p.model == "digits.keras"
    assert re.fullmatch(r"[0-9a-f]{64}", p.sha256)
    assert (p.preprocessing, p.samples, p.seed) == ("unit", ("digits:7",), 5)
    assert "the usual choice for a model without scaling" in p.preprocessing_reason
    assert set(p.versions) == {"nnviz3d", "keras", "tensorflow", "numpy"}
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\+00:00", p.created)
    notices = [e.text for e in events if isinstance(e, Notice)]
    assert any(p.preprocessing_reason in text for text in notices)


def test_connections_are_stored_for_every_sample(tmp_path):
    capture_, _, _ = capture(tmp_path, bundled("digits.keras"), ["digits:0-2"], top_k=50)
    for sample in range(3):
        dense = capture_.connections("dense", "dense_1", "contribution", sample)
        before, kernel = capture_.activation("dense", sample), capture_.weights("dense_1")["kernel"]
        assert (dense.rule, dense.total, dense.shown) == ("dense", 640, 50)
        product = before[:, None] * kernel
        assert np.allclose(dense.contribution, product[dense.index[:, 0], dense.index[:, 1]], atol=1e-6)
        assert np.isclose(np.abs(dense.contribution).min(), np.sort(np.abs(product).ravel())[-50], atol=1e-6)
        fan = capture_.connections("input", "conv2d", "weight", sample)
        assert (fan.rule, fan.total, fan.shown) == ("fan", 9, 9)
    assert capture_.connections("conv2d_2", "flatten") is None


def test_connection_records_of_unequal_length_are_read_as_written(tmp_path):
    model = keras.Sequential(
        [
            keras.Input((4, 4, 1), name="input"),
            layers.Conv2D(1, 3, padding="same", kernel_initializer="ones", name="conv"),
        ]
    )
    model.save(tmp_path / "m.keras")
    x = np.zeros((2, 4, 4, 1), np.float32)
    x[0, 0, 0] = 1  # the largest output is in the corner, where four taps are inside
    x[1] = 1
    np.save(tmp_path / "x.npy", x)
    capture_, _, _ = capture(tmp_path, tmp_path / "m.keras", [str(tmp_path / "x.npy")])
    corner, middle = (capture_.connections("input", "conv", "weight", i) for i in range(2))
    assert (corner.shown, corner.total) == (4, 4)
    assert (middle.shown, middle.total) == (9, 9)
    assert corner.index.min() >= 0


def test_weights_of_large_layers_are_stored_only_on_request(tmp_path):
    model = keras.Sequential(
        [keras.Input((600,), name="input"), layers.Dense(500, name="big"), layers.Dense(3, name="small")]
    )
    model.save(tmp_path / "m.keras")
    small, _, _ = capture(tmp_path, tmp_path / "m.keras")
    assert small.weights("big") == {}
    assert set(small.weights("small")) == {"kernel", "bias"}
    whole, _, _ = capture(tmp_path, tmp_path / "m.keras", all_weights=True)
    assert np.array_equal(
        whole.weights("big")["kernel"], keras.saving.load_model(tmp_path / "m.keras").layers[0].kernel
    )


def test_weights_of_composite_layers_have_unique_names(tmp_path):
    zoo.sequence().save(tmp_path / "m.keras")
    capture_, _, _ = capture(tmp_path, tmp_path / "m.keras")
    model = keras.saving.load_model(tmp_path / "m.keras")
    wrapper = model.get_layer("both_ways")
    directions = {"forward_gru": wrapper.forward_layer, "backward_gru": wrapper.backward_layer}
    for name, layer in directions.items():
        stored = capture_.weights(f"both_ways/{name}")
        assert set(stored) == {"kernel", "recurrent_kernel", "bias"}
        assert all(np.array_equal(stored[v.name], v) for v in layer.weights)
    assert len(capture_.weights("attention")) == len(model.get_layer("attention").weights) == 8
    assert sum(v.size for v in capture_.weights("attention").values()) == model.get_layer("attention").count_params()


def test_capture_of_an_application_on_a_picture_equals_keras(tmp_path):
    from PIL import Image

    Image.fromarray(np.random.default_rng(0).integers(0, 255, (300, 400, 3)).astype(np.uint8)).save(tmp_path / "p.png")
    capture_, _, _ = capture(
        tmp_path, "keras:MobileNetV2", [str(tmp_path / "p.png")], weights="none", classes=imagenet_classes()
    )
    assert len(capture_.graph) == 156
    assert capture_.provenance.preprocessing == "tf"
    (cropped,) = capture_.provenance.sample_notes[0]
    assert cropped.startswith("p.png was cropped")
    assert "random, not trained" in " ".join(capture_.provenance.notes)
    assert capture_.classes[698] == "palace"
    assert len(capture_.classes) == 1000
    assert -1 <= capture_.input(capture_.graph.inputs[0]).min() < -0.9
    assert capture_.picture(capture_.graph.inputs[0]).shape == (224, 224, 3)


def test_model_without_samples_runs_on_a_random_one_with_a_notice(tmp_path):
    zoo.two_in_two_out().save(tmp_path / "m.keras")
    capture_, _, _ = capture(tmp_path, tmp_path / "m.keras")
    assert capture_.provenance.samples == ("random (seed 0)",)
    assert capture_.graph.inputs == ("left", "right")
    assert capture_.input("left").shape == (4,)


def test_token_inputs_are_found_behind_a_cast():
    start = keras.Input((None,), name="words")
    other = keras.Input((3,), name="other")
    x = layers.GlobalAveragePooling1D()(layers.Embedding(12, 4)(start))
    model = keras.Model([start, other], layers.Concatenate()([x, other]))
    program = open_model(model, expected_inputs(model))
    assert tokens(program) == {0: 12}


def test_random_tensorflow_operations_are_noted(tmp_path):
    from nnviz3d.capture.live_model import capture as capture_live

    class Noisy(keras.Model):
        def call(self, x):
            return x + tf.random.normal(tf.shape(x))

    notes = capture_live(Noisy(), np.ones((3, 4)), out=tmp_path / "run.zarr").provenance.notes
    assert any("draws random numbers" in note for note in notes)
    assert any("no numbers for each sample: shape" in note for note in notes)


def test_dense_layers_on_sequences_folded_into_the_batch_have_connections(tmp_path):
    from nnviz3d.capture.live_model import capture as capture_live

    class Folding(keras.Model):
        def __init__(self):
            super().__init__()
            self.dense = layers.Dense(2, name="dense")

        def call(self, x):
            return tf.reshape(self.dense(tf.reshape(x, (-1, 3))), (-1, 4, 2))

    model = Folding()
    capture_ = capture_live(model, np.ones((5, 4, 3)), out=tmp_path / "run.zarr")
    assert capture_.graph.node("dense").shape == (4, 2)
    found = capture_.connections("reshape", "dense")
    place, unit = np.unravel_index(found.index[0, 1], (4, 2))  # all of one unit, at one location
    assert (found.index[:, 1] == found.index[0, 1]).all()
    assert (found.index[:, 0] // 3 == place).all()
    assert np.array_equal(found.weight, model.dense.kernel.numpy()[found.index[:, 0] % 3, unit])


def test_half_precision_is_noted(tmp_path):
    keras.Sequential([keras.Input((6,), name="input"), layers.Dense(4, dtype="mixed_bfloat16", name="dense")]).save(
        tmp_path / "m.keras"
    )
    capture_, _, _ = capture(tmp_path, tmp_path / "m.keras")
    assert "bfloat16 activations are stored as float32." in capture_.provenance.notes


def test_composite_that_cannot_be_opened_is_noted(tmp_path):
    from nnviz3d.capture.live_model import capture as capture_live

    model = keras.Sequential([keras.Input((3,), name="input"), zoo.Picky(name="picky")])
    capture_ = capture_live(model, np.ones((2, 3)), out=tmp_path / "run.zarr")
    assert any(note.startswith("picky is shown as one block") for note in capture_.provenance.notes)


def test_saved_model_has_the_layers_of_the_model_with_all_parameters(tmp_path):
    from nnviz3d.capture.live_model import capture as capture_live

    model = keras.saving.load_model(bundled("digits.keras"))
    model.export(tmp_path / "saved", verbose=False)
    loaded = load_model(str(tmp_path / "saved"), trust=True)
    capture_ = capture_live(loaded.model, ["digits:0-9"], out=tmp_path / "run.zarr")
    kept = [layer for layer in model.layers if not isinstance(layer, layers.Dropout)]  # does nothing at inference
    assert [(n.kind, n.parameters) for n in capture_.graph][1:] == [(type(k).__name__, k.count_params()) for k in kept]
    assert capture_.graph.parameters == 93_322
    own = capture_live(model, ["digits:0-9"], out=tmp_path / "own.zarr").activations("dense_1").values
    assert np.allclose(capture_.activations(capture_.graph.outputs[0]).values, own, atol=1e-6)


def test_variable_lengths_are_those_of_the_sample(tmp_path):
    model = keras.Sequential([keras.Input((None, None, 1), name="input"), layers.Conv2D(2, 3, name="conv")])
    model.save(tmp_path / "m.keras")
    capture_, _, _ = capture(tmp_path, tmp_path / "m.keras", ["digits:7"])
    assert capture_.graph.node("conv").shape == (26, 26, 2)


def test_model_that_was_never_built_is_refused(tmp_path):
    keras.Sequential([layers.Dense(3)]).save(tmp_path / "m.keras")
    loaded = load_model(str(tmp_path / "m.keras"))
    with pytest.raises(ModelError, match="was never built"):
        CachedModel(loaded)


def test_earlier_capture_stays_when_the_new_one_fails(tmp_path, monkeypatch):
    capture(tmp_path, bundled("digits.keras"), ["digits:7"])

    def fails(*_args, **_kwargs):
        raise RuntimeError("out of luck")

    monkeypatch.setattr(stages, "write_capabilities", fails)
    with pytest.raises(RuntimeError, match="out of luck"):
        capture(tmp_path, bundled("digits.keras"), ["digits:8"])
    assert open_capture(tmp_path / "run.zarr").provenance.samples == ("digits:7",)
    assert [p.name for p in tmp_path.iterdir()] == ["run.zarr"]


def test_destination_in_no_folder_or_of_other_files_is_refused(tmp_path):
    (tmp_path / "run.zarr").mkdir()
    with pytest.raises(UserError, match=r"run\.zarr exists and is not a capture"):
        capture(tmp_path, bundled("digits.keras"), ["digits:7"])
    with pytest.raises(UserError, match="does not exist"):
        capture(tmp_path / "nowhere", bundled("digits.keras"), ["digits:7"])


def test_class_names_from_a_file_are_read_or_refused(tmp_path):
    (tmp_path / "names.txt").write_text("cat\n\n dog \n", encoding="utf-8")
    assert read_classes(tmp_path / "names.txt") == ("cat", "dog")
    (tmp_path / "none.txt").touch()
    with pytest.raises(SampleError, match="names no classes"):
        read_classes(tmp_path / "none.txt")
    with pytest.raises(SampleError, match="cannot be read"):
        read_classes(Path("nowhere.txt"))
    assert len(set(imagenet_classes())) > 990


def written_by_a_thread(monkeypatch, action):
    """Replace the second batch's writing by `action`, which runs in the thread that writes."""
    write, threads = stages._write_batch, []

    def instead(writer, run, finder, tokens, clock, batch):
        threads.append(threading.current_thread())
        if batch.start:
            action()
        write(writer, run, finder, tokens, clock, batch)

    monkeypatch.setattr(stages, "_write_batch", instead)
    return threads


@pytest.mark.parametrize("earlier", [False, True])
def test_disk_that_is_full_while_a_thread_writes_is_one_sentence_and_leaves_the_earlier_capture(
    tmp_path, monkeypatch, earlier
):
    if earlier:
        capture(tmp_path, bundled("digits.keras"), ["digits:7"])

    def full():
        raise OSError(28, "No space left on device")

    threads = written_by_a_thread(monkeypatch, full)
    with pytest.raises(UserError, match=r"Cannot write .*run\.zarr: No space left on device\."):
        capture(tmp_path, bundled("digits.keras"), ["digits:0-99"])
    assert not any(thread.is_alive() for thread in threads)
    assert [path.name for path in tmp_path.iterdir()] == ["run.zarr"] * earlier
    if earlier:
        assert open_capture(tmp_path / "run.zarr").provenance.samples == ("digits:7",)


@pytest.mark.usefixtures("ctrl_c_interrupts")
def test_ctrl_c_while_a_thread_writes_waits_for_it_and_leaves_nothing(tmp_path, monkeypatch):
    def interrupt():
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(0.3)  # the thread goes on writing after the signal

    threads = written_by_a_thread(monkeypatch, interrupt)
    with pytest.raises(KeyboardInterrupt):
        capture(tmp_path, bundled("digits.keras"), ["digits:0-99"])
    assert not any(thread.is_alive() for thread in threads)
    assert list(tmp_path.iterdir()) == []
