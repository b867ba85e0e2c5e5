"""Samples of every kind of source in the shapes of a model's inputs."""

import numpy as np
import pytest
from PIL import Image

from nnviz3d.capture.inputs.aids import Aids
from nnviz3d.capture.inputs.arrays import array_samples
from nnviz3d.capture.inputs.samples import read_samples
from nnviz3d.capture.programs.flat_program import InputSpec
from nnviz3d.errors import SampleError

COLOUR = InputSpec("input", (32, 32, 3), "float32")
GREY = InputSpec("input", (28, 28, 1), "float32")
ANY_SIZE = InputSpec("input", (None, None, 3), "float32")
VECTOR = InputSpec("input", (5,), "float32")


def picture(width=64, height=48, mode="RGB"):
    pixels = np.arange(width * height, dtype=np.uint32).reshape(height, width)
    return Image.fromarray((pixels % 256).astype(np.uint8)).convert(mode)


def test_true_outputs_in_a_file_are_read_for_the_chosen_rows(tmp_path):
    masks = np.random.default_rng(0).integers(0, 2, (4, 28, 28)).astype(np.uint8)
    np.savez(tmp_path / "x.npz", images=np.zeros((4, 28, 28), np.uint8), y=masks)
    whole, some, one = (read_samples([f"{tmp_path / 'x.npz'}{rows}"], [GREY]) for rows in ("", "[1:3]", "[2]"))
    assert np.array_equal(whole.truth, masks)
    assert np.array_equal(some.truth, masks[1:3])
    assert np.array_equal(one.truth, masks[2:3])
    assert whole.labels is None
    both = read_samples([f"{tmp_path / 'x.npz'}[3]", f"{tmp_path / 'x.npz'}[0]"], [GREY])
    assert np.array_equal(both.truth, masks[[3, 0]])


@pytest.mark.parametrize("suffix", ["png", "jpg", "webp", "bmp", "gif"])
def test_pictures_of_every_format_are_read(tmp_path, suffix):
    path = tmp_path / f"one.{suffix}"
    picture().save(path)
    samples = read_samples([str(path)], [COLOUR])
    assert samples.arrays[0].shape == (1, 32, 32, 3)
    assert samples.arrays[0].dtype == np.uint8
    assert samples.is_picture == (True,)
    assert samples.names == (f"one.{suffix}",)
    assert samples.shown["input"].shape == (1, 32, 32, 3)
    assert "cropped to the middle: 25%" in samples.notes[0][0]


@pytest.mark.parametrize("mode", ["L", "RGB", "RGBA", "P", "CMYK", "1", "LA"])
@pytest.mark.parametrize("spec", [COLOUR, GREY, InputSpec("input", (16, 16, 4), "float32")])
def test_pictures_of_every_colour_mode_fit_every_number_of_channels(tmp_path, mode, spec):
    path = tmp_path / ("one.jpg" if mode == "CMYK" else "one.png")
    picture(32, 32, mode).save(path)
    samples = read_samples([str(path)], [spec])
    assert samples.arrays[0].shape[1:] == spec.shape
    assert samples.notes_each == ((),)


def test_16_bit_pictures_are_scaled_to_8_bits(tmp_path):
    Image.fromarray(np.full((28, 28), 32896, np.uint16)).save(tmp_path / "deep.png")
    assert np.all(read_samples([str(tmp_path / "deep.png")], [GREY]).arrays[0] == 128)


def test_transparent_pictures_get_a_white_background(tmp_path):
    Image.new("RGBA", (32, 32), (0, 0, 0, 0)).save(tmp_path / "clear.png")
    assert np.all(read_samples([str(tmp_path / "clear.png")], [COLOUR]).arrays[0] == 255)


def test_exif_orientation_is_applied(tmp_path):
    pixels = np.zeros((32, 32, 3), np.uint8)
    pixels[:, :16] = 255  # light on the left
    exif = Image.Exif()
    exif[0x0112] = 6  # rotate by 90 degrees to the right
    Image.fromarray(pixels).save(tmp_path / "turned.png", exif=exif)
    upright = read_samples([str(tmp_path / "turned.png")], [COLOUR]).arrays[0][0]
    assert upright[:14].min() > 250
    assert upright[18:].max() < 5


def test_model_of_variable_size_gets_the_pictures_size_up_to_a_limit(tmp_path):
    picture(64, 48).save(tmp_path / "small.png")
    picture(1024, 256).save(tmp_path / "wide.png")
    assert read_samples([str(tmp_path / "small.png")], [ANY_SIZE]).arrays[0].shape == (1, 48, 64, 3)
    assert read_samples([str(tmp_path / "wide.png")], [ANY_SIZE]).arrays[0].shape == (1, 128, 512, 3)
    both = read_samples([str(tmp_path / "small.png"), str(tmp_path / "wide.png")], [ANY_SIZE])
    assert both.arrays[0].shape == (2, 48, 64, 3)


def test_photographs_of_scikit_learn_are_samples():
    samples = read_samples(["sklearn:china.jpg", "sklearn:flower.jpg"], [COLOUR])
    assert samples.names == ("china.jpg", "flower.jpg")
    china, flower = samples.shown["input"].astype(int)
    assert china[:8].mean() > 180, "a bright sky"
    assert flower[12:20, 12:20, 0].mean() > flower[12:20, 12:20, 2].mean() + 60, "an orange blossom"
    with pytest.raises(
        SampleError, match=r"no photograph 'cat\.jpg'; there are sklearn:china\.jpg, sklearn:flower\.jpg"
    ):
        read_samples(["sklearn:cat.jpg"], [COLOUR])


def test_pictures_of_a_folder_are_read_in_order_of_names(tmp_path):
    for name in ("b.png", "a.jpg", "c.PNG"):
        picture().save(tmp_path / name)
    (tmp_path / "readme.txt").write_text("no picture")
    assert read_samples([str(tmp_path)], [COLOUR]).names == ("a.jpg", "b.png", "c.PNG")


def test_bundled_digits_are_samples_with_labels():
    one = read_samples(["digits:7"], [GREY])
    assert (one.names, one.labels.tolist(), one.arrays[0].shape) == (("digits:7",), [9], (1, 28, 28, 1))
    assert one.classes == tuple("0123456789")
    some = read_samples(["digits:0-2", "digits:7"], [GREY])
    assert some.names == ("digits:0", "digits:1", "digits:2", "digits:7")
    assert some.labels.tolist() == [7, 2, 1, 9]
    assert np.array_equal(some.arrays[0][3], one.arrays[0][0])
    assert read_samples(["digits:7"], [InputSpec("input", (784,), "float32")]).arrays[0].shape == (1, 784)
    assert read_samples(["digits:7"], [InputSpec("input", (28, 28), "float32")]).arrays[0].shape == (1, 28, 28)
    assert read_samples(["digits:7"], [COLOUR]).arrays[0].shape == (1, 32, 32, 3)


def test_random_sample_depends_on_the_seed_in_its_name():
    first, again = (read_samples([], [COLOUR], seed=3) for _ in range(2))
    other = read_samples(["random"], [COLOUR], seed=4)
    assert first.names == ("random (seed 3)",)
    assert np.array_equal(first.arrays[0], again.arrays[0])
    assert not np.array_equal(first.arrays[0], other.arrays[0])
    assert first.arrays[0].dtype == np.uint8
    assert first.is_picture == (True,)


def test_random_tokens_are_below_the_size_of_the_vocabulary():
    spec = InputSpec("tokens", (None,), "int32")
    tokens = read_samples([], [spec, VECTOR], aids=Aids({0: 5})).arrays
    assert tokens[0].shape == (1, 16)
    assert tokens[0].dtype == np.int32
    assert tokens[0].max() < 5
    assert tokens[1].dtype == np.float32


@pytest.mark.parametrize("shape", [(4, 28, 28, 1), (28, 28, 1), (4, 28, 28), (28, 28)])
def test_single_arrays_and_batches_are_samples(tmp_path, shape):
    np.save(tmp_path / "x.npy", np.linspace(0, 1, np.prod(shape), dtype=np.float32).reshape(shape))
    samples = read_samples([str(tmp_path / "x.npy")], [GREY])
    assert samples.arrays[0].shape[1:] == (28, 28, 1)
    assert samples.is_picture == (False,)
    assert samples.names[0] == ("x.npy[0]" if len(samples) == 4 else "x.npy")
    assert samples.shown["input"].shape == (len(samples), 28, 28, 3)


def test_byte_arrays_are_pictures(tmp_path):
    np.savez(tmp_path / "x.npz", images=np.zeros((3, 28, 28), np.uint8), labels=np.array([1, 2, 3]))
    samples = read_samples([str(tmp_path / "x.npz")], [GREY])
    assert samples.is_picture == (True,)
    assert samples.labels.tolist() == [1, 2, 3]


@pytest.mark.parametrize(("searched", "expected"), [(2**28, (-4.0, 200.0)), (3 * 6 * 5 * 3 * 4, (-4.0, 100.0))])
def test_range_of_some_rows_is_that_of_the_file(tmp_path, monkeypatch, searched, expected):
    """Of a large file, it is that of rows spread evenly: of nine rows the first, the fourth and the seventh."""
    monkeypatch.setattr("nnviz3d.capture.inputs.arrays._SEARCHED", searched)
    spec = InputSpec("image", (6, 5, 3), "float32")
    given = np.full((9, 6, 5, 3), 0.5, np.float32)
    given[3, 0, 0, 0], given[4, 1, 1, 1], given[6, 2, 2, 2] = -4, 200, 100
    np.save(tmp_path / "x.npy", given)
    np.savez(tmp_path / "x.npz", image=given)
    assert read_samples((f"{tmp_path}/x.npy[8]",), [spec]).spans == {"image": expected}
    packed = read_samples((f"{tmp_path}/x.npz[8]",), [spec]).spans
    assert packed == {"image": expected if searched > 2**20 else (0.5, 0.5)}, "not unpacked as a whole if it is large"
    np.save(tmp_path / "x.npy", given / 2)
    assert read_samples((f"{tmp_path}/x.npy[8]",), [spec]).spans["image"][0] == -2, "the file has changed"


def test_arrays_of_several_inputs_are_matched_by_name_or_order():
    specs = [InputSpec("left", (4,), "float32"), InputSpec("right", (3,), "float32")]
    left, right = np.ones((2, 4), np.float32), np.zeros((2, 3), np.float32)
    by_name = array_samples({"right": right, "left": left}, specs, "x.npz")
    in_order = array_samples([left, right], specs, "x")
    assert [a.shape for a in by_name.arrays] == [a.shape for a in in_order.arrays] == [(2, 4), (2, 3)]


def refusal(sources, specs):
    with pytest.raises(SampleError) as caught:
        read_samples([str(s) for s in sources], specs)
    sentence = str(caught.value)
    assert "\n" not in sentence
    return sentence


def test_missing_and_unknown_sources_are_refused(tmp_path):
    (tmp_path / "x.md").write_text("hello")
    (tmp_path / "x.txt").write_text("hello")
    (tmp_path / "empty").mkdir()
    assert "There is no input" in refusal(["nowhere.png"], [COLOUR])
    assert "x.md is no input that nnviz3d knows; expected a file that ends in .bmp" in refusal(
        [tmp_path / "x.md"], [COLOUR]
    )
    assert "x.txt holds text, but the model's input 'input' takes numbers" in refusal([tmp_path / "x.txt"], [COLOUR])
    assert "The folder empty holds no pictures" in refusal([tmp_path / "empty"], [COLOUR])


def test_damaged_pictures_are_refused(tmp_path):
    picture().save(tmp_path / "whole.png")
    whole = (tmp_path / "whole.png").read_bytes()
    (tmp_path / "cut.png").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "text.png").write_text("this is no picture")
    (tmp_path / "none.png").touch()
    for name in ("cut.png", "text.png", "none.png"):
        assert f"{name} cannot be read as a picture" in refusal([tmp_path / name], [COLOUR])


def test_damaged_arrays_are_refused(tmp_path):
    np.save(tmp_path / "whole.npy", np.zeros((4, 5)))
    (tmp_path / "cut.npy").write_bytes((tmp_path / "whole.npy").read_bytes()[:140])
    (tmp_path / "text.npy").write_text("hello")
    (tmp_path / "none.npy").touch()
    (tmp_path / "text.npz").write_bytes(b"PK\x03\x04 and then nothing")
    for name in ("cut.npy", "text.npy", "none.npy", "text.npz"):
        said = refusal([tmp_path / name], [VECTOR])
        assert said.startswith(name)
        assert "Error" not in said


def test_pickled_arrays_are_refused(tmp_path):
    class Bomb:
        def __reduce__(self):
            return (open, (str(tmp_path / "exploded"), "w"))

    np.save(tmp_path / "objects.npy", np.array([Bomb()], dtype=object), allow_pickle=True)
    assert "Nothing is ever unpickled" in refusal([tmp_path / "objects.npy"], [VECTOR])
    assert not (tmp_path / "exploded").exists()


def test_arrays_that_do_not_fit_the_inputs_are_refused(tmp_path):
    np.save(tmp_path / "x.npy", np.zeros((2, 7), np.float32))
    np.save(tmp_path / "none.npy", np.zeros((0, 5), np.float32))
    np.save(tmp_path / "words.npy", np.array(["a", "b"]))
    np.savez(tmp_path / "x.npz", one=np.zeros((2, 5)), two=np.zeros((2, 5)))
    two = [InputSpec("left", (4,), "float32"), InputSpec("right", (3,), "float32")]
    picture().save(tmp_path / "p.png")
    assert "has the shape (2, 7); the model's input 'input' takes samples of (5,)" in refusal(
        [tmp_path / "x.npy"], [VECTOR]
    )
    assert "holds no samples" in refusal([tmp_path / "none.npy"], [VECTOR])
    assert "expected numbers" in refusal([tmp_path / "words.npy"], [VECTOR])
    np.save(tmp_path / "halves.npy", np.full((1, 5), 0.5))
    whole = InputSpec("ids", (5,), "int32")
    assert "the model's input 'ids' takes whole numbers (int32)" in refusal([tmp_path / "halves.npy"], [whole])
    np.save(tmp_path / "halves.npy", np.full((1, 5), 0.5).round())
    assert read_samples([str(tmp_path / "halves.npy")], [whole]).arrays[0].tolist() == [[0] * 5]
    assert "holds one, two; the model's inputs are called input" in refusal([tmp_path / "x.npz"], [VECTOR])
    assert "has 2 inputs: left, right" in refusal([tmp_path / "x.npy"], two)
    assert "has 2 inputs (left, right), but a picture is only one" in refusal([tmp_path / "p.png"], two)
    assert "p.png is a picture, but the model's input 'input' takes (5,)" in refusal([tmp_path / "p.png"], [VECTOR])
    assert "one is a picture, the other an array" in refusal(["digits:1", _floats(tmp_path)], [GREY])


def test_digits_out_of_range_are_refused():
    assert "digits:1000 is out of range; the bundled test digits are digits:0 to digits:999" in refusal(
        ["digits:1000"], [GREY]
    )
    assert "is not understood" in refusal(["digits:seven"], [GREY])
    assert "out of range" in refusal(["digits:9-3"], [GREY])


def test_random_text_is_refused():
    assert "takes text" in refusal([], [InputSpec("words", (), "string")])


def _floats(folder):
    np.save(folder / "floats.npy", np.zeros((28, 28, 1), np.float32))
    return folder / "floats.npy"


def test_notes_belong_to_their_samples(tmp_path):
    picture(32, 32).save(tmp_path / "square.png")
    picture(64, 32).save(tmp_path / "wide.png")
    np.save(tmp_path / "bytes.npy", np.zeros((2, 32, 32, 3), np.uint8))
    names = [str(tmp_path / name) for name in ("bytes.npy", "square.png", "wide.png")]
    bare, also_bare, square, (wide,) = read_samples(names, [COLOUR]).notes_each
    assert bare == also_bare == square == ()
    assert wide.startswith("wide.png was cropped")


def test_pictures_of_two_inputs_are_given_by_name(tmp_path):
    for name, grey in (("a", 10), ("b", 20), ("c", 30), ("d", 40)):
        Image.fromarray(np.full((8, 8, 3), grey, np.uint8)).save(tmp_path / f"{name}.png")
    specs = [InputSpec("left", (8, 8, 3), "float32"), InputSpec("right", (8, 8, 3), "float32")]
    sources = [f"right={tmp_path}/b.png", f"left={tmp_path}/a.png", f"left={tmp_path}/c.png", f"right={tmp_path}/d.png"]
    found = read_samples(sources, specs)
    assert [array[:, 0, 0, 0].tolist() for array in found.arrays] == [[10, 30], [20, 40]]
    assert found.names == ("a.png, b.png", "c.png, d.png")
    assert found.is_picture == (True, True)
    assert set(found.shown) == {"left", "right"}
    assert "The model has no input 'top'; its inputs are left, right." in refusal([f"top={tmp_path}/a.png"], specs)
    assert "input right; add --input right=FILE." in refusal([f"left={tmp_path}/a.png"], specs)
    assert "There are 2 for 'left', 1 for 'right'" in refusal(sources[:3], specs)
    assert "write NAME=a.png for each input" in refusal([tmp_path / "a.png"], specs)
