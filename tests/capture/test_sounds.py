"""Sounds in WAVE files as samples: every kind of number against SciPy, and what a model's input takes of them."""

import math
import struct

import numpy as np
import pytest
from keras import Sequential, layers
from scipy.io import wavfile

import nnviz3d
from nnviz3d.capture.inputs.aids import Aids, aids_of
from nnviz3d.capture.inputs.samples import read_samples
from nnviz3d.capture.inputs.sounds import resampled
from nnviz3d.capture.programs.flat_program import InputSpec, expected_inputs
from nnviz3d.data.files.sound_files import read_sound
from nnviz3d.errors import SampleError

RATE = 16000
SOUND = InputSpec("sound", (None,), "float32")


def tone(count, rate, hertz=440.0):
    return 0.5 * np.sin(2 * np.pi * hertz * np.arange(count) / rate)


@pytest.mark.parametrize(
    ("kind", "zero", "scale"),
    [("u1", 128, 128), ("i2", 0, 2**15), ("i4", 0, 2**31), ("f4", 0, 1), ("f8", 0, 1)],
)
@pytest.mark.parametrize("channels", [1, 2])
def test_numbers_of_every_type_are_those_of_scipy_in_minus_1_to_1(tmp_path, kind, zero, scale, channels):
    values = np.stack([tone(50, RATE), tone(50, RATE, 100)][:channels], axis=1)
    stored = values if kind[0] == "f" else np.round(values * (scale - 1) + zero)
    wavfile.write(tmp_path / "x.wav", RATE, stored.astype(kind))
    rate, known = wavfile.read(tmp_path / "x.wav")
    found = read_sound(tmp_path / "x.wav")
    assert found.rate == rate
    assert found.values.shape == (50, channels)
    assert np.allclose(found.values, (known.reshape(50, channels).astype(float) - zero) / scale, atol=1e-7)


def test_24_bit_sounds_and_extensible_headers_are_read(tmp_path):
    numbers = np.array([[0, -(2**23)], [2**23 - 1, 5]])
    data = b"".join(int(n).to_bytes(3, "little", signed=True) for n in numbers.ravel())
    guid = struct.pack("<H", 1) + b"\x00\x00\x00\x00\x10\x00\x80\x00\x00\xaa\x00\x38\x9b\x71"
    head = struct.pack("<HHIIHH", 0xFFFE, 2, RATE, RATE * 6, 6, 24) + struct.pack("<HHI", 22, 24, 3) + guid
    body = b"WAVELIST\x03\x00\x00\x00abc\x00fmt " + struct.pack("<I", len(head)) + head
    body += b"data" + struct.pack("<I", len(data)) + data
    (tmp_path / "x.wav").write_bytes(b"RIFF" + struct.pack("<I", len(body)) + body)
    _, known = wavfile.read(tmp_path / "x.wav")
    found = read_sound(tmp_path / "x.wav").values
    assert np.allclose(found, numbers / 2**23)
    assert np.allclose(found, known / 2.0**31)


@pytest.mark.parametrize(
    ("shape", "expected"),
    [((None,), (60,)), ((40,), (40,)), ((80, 1), (80, 1)), ((None, 2), (60, 2))],
)
def test_sound_gets_the_channels_and_the_length_of_the_input(tmp_path, shape, expected):
    left = tone(60, RATE).astype("f4")
    wavfile.write(tmp_path / "x.wav", RATE, np.stack([left, left / 2], axis=1))
    found = read_samples([str(tmp_path / "x.wav")], [InputSpec("sound", shape, "float32")])
    values = found.arrays[0][0]
    assert values.shape == expected
    count = min(60, expected[0])
    wanted = np.stack([left, left / 2], axis=1) if expected[1:] == (2,) else left[:, None] * 0.75
    assert np.allclose(values.reshape(expected[0], -1)[:count], wanted[:count], atol=1e-7)
    assert not values[count:].any()
    told = " ".join(found.notes[0])
    assert "x.wav has 16,000 samples a second; the model does not say which rate it takes" in told
    assert ("mixed to one channel" in told) == (expected[1:] != (2,))
    assert ("cut to the first 40" in told) == (expected == (40,))
    assert ("filled up with silence to 80" in told) == (expected == (80, 1))


@pytest.mark.parametrize(("rate", "wanted"), [(44100, 16000), (8000, 16000), (16000, 11025)])
def test_resampled_tone_is_the_tone_at_the_other_rate(rate, wanted):
    hertz, seconds = 440.0, 0.5
    count = int(rate * seconds)
    window = np.hanning(count)[:, None]
    found = resampled((tone(count, rate, hertz)[:, None] * window).astype("f4"), rate, wanted)[:, 0]
    times = np.arange(len(found)) / wanted
    envelope = np.interp(times, np.arange(count) / rate, window[:, 0])
    assert len(found) == math.ceil(wanted * seconds)
    assert np.allclose(found, 0.5 * np.sin(2 * np.pi * hertz * times) * envelope, atol=2e-3)


@pytest.mark.tensorflow
def test_model_with_a_mel_spectrogram_gets_sounds_at_its_rate(tmp_path):
    model = Sequential([layers.Input((800,)), layers.MelSpectrogram(sampling_rate=8000, fft_length=128)])
    aids = aids_of(model, expected_inputs(model), {})
    assert aids.rates == {0: 8000}
    wavfile.write(tmp_path / "x.wav", RATE, tone(1600, RATE).astype("f4"))
    found = read_samples([str(tmp_path / "x.wav")], [InputSpec("sound", (800,), "float32")], aids=aids)
    assert np.abs(found.arrays[0][0, 20:-20] - tone(800, 8000)[20:-20]).max() < 0.01
    assert found.notes == (("x.wav was resampled from 16,000 to 8,000 samples a second, which the model takes.",),)
    assert aids_of(model, expected_inputs(model), {}).of(1) == Aids()


@pytest.mark.tensorflow
def test_input_that_is_given_a_sound_has_time_steps_and_the_same_input_with_numbers_has_not(tmp_path):
    model = Sequential([layers.Input((40,), name="x"), layers.Dense(3, name="out")])
    wavfile.write(tmp_path / "x.wav", RATE, tone(40, RATE).astype("f4"))
    for source, axes in ((str(tmp_path / "x.wav"), ("time step",)), (np.zeros((1, 40), "f4"), ("channel",))):
        out = tmp_path / f"{len(axes[0])}.zarr"
        captured = nnviz3d.capture(model, source, out=out)
        assert captured.graph.node("x").axes == axes
        assert captured.connections("x", "out").weight.shape == (120,)


def test_class_folders_of_sounds_have_labels_and_silence_at_their_ends(tmp_path):
    for kind, count in (("no", 30), ("yes", 50)):
        (tmp_path / kind).mkdir()
        wavfile.write(tmp_path / kind / "1.wav", RATE, tone(count, RATE).astype("f4"))
    found = read_samples([str(tmp_path)], [SOUND])
    assert (found.names, found.labels.tolist(), found.classes) == (("no/1.wav", "yes/1.wav"), [0, 1], ("no", "yes"))
    assert found.arrays[0].shape == (2, 50)
    assert not found.arrays[0][0, 30:].any()


def test_sound_that_cannot_be_read_or_taken_is_refused_in_one_sentence(tmp_path):
    wavfile.write(tmp_path / "x.wav", RATE, np.zeros(10, "i2"))
    whole = (tmp_path / "x.wav").read_bytes()
    (tmp_path / "cut.wav").write_bytes(whole[:20])
    (tmp_path / "mp3.wav").write_bytes(b"ID3\x04" + bytes(60))
    (tmp_path / "law.wav").write_bytes(whole[:20] + b"\x07" + whole[21:])
    (tmp_path / "none.wav").write_bytes(whole[:44])
    photo = InputSpec("photo", (8, 8, 3), "float32")
    for name, spec, sentence in (
        ("cut.wav", SOUND, "cut.wav is an incomplete WAVE file: it has no header"),
        ("mp3.wav", SOUND, "mp3.wav is no WAVE file; save the sound as .wav"),
        ("law.wav", SOUND, "law.wav is compressed as mu-law; save the sound as .wav with PCM or float samples"),
        ("none.wav", SOUND, "none.wav holds no sound"),
        (
            "x.wav",
            photo,
            r"x.wav is a sound, but the model's input 'photo' takes samples of the shape \(8, 8, 3\); give",
        ),
    ):
        with pytest.raises(SampleError, match=sentence):
            read_samples([str(tmp_path / name)], [spec])
