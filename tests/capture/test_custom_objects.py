"""Classes and functions of the user that `--custom` names, and the sentences that ask for it."""

import sys

import h5py
import keras
import numpy as np
import pytest
from keras import layers

from nnviz3d.capture.loading.load import load_model
from nnviz3d.errors import ModelError
from nnviz3d.options import Model

CODE = """
import keras

class Scaling(keras.layers.Layer):
    def __init__(self, factor=1.0, **settings):
        super().__init__(**settings)
        self.factor = factor

    def call(self, x):
        return x * self.factor

    def get_config(self):
        return {**super().get_config(), "factor": self.factor}

@keras.saving.register_keras_serializable(package="mine")
class Registered(Scaling):
    pass

class Net(keras.Model):
    def __init__(self, units=2, **settings):
        super().__init__(**settings)
        self.units = units
        self.dense = keras.layers.Dense(units)

    def call(self, x):
        return self.dense(x)

    def get_config(self):
        return {"units": self.units}

def swishy(x):
    return x * keras.ops.sigmoid(2 * x)

def tens(shape, dtype=None):
    return keras.ops.full(shape, 10.0)

ALL = {"Scaling": Scaling, "swishy": swishy}
number = 3
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Return a folder with models that need the classes of `my_layers.py` beside them."""
    folder = tmp_path_factory.mktemp("custom")
    (folder / "my_layers.py").write_text(CODE)
    (folder / "stops.py").write_text("raise SystemExit(2)\n")
    (folder / "needs_more.py").write_text("import a_package_that_nobody_has\n")
    (folder / "of_keras_2.py").write_text("class Layer:\n    __module__ = 'tf_keras.src.layers'\n")
    sys.path.append(str(folder))
    import my_layers

    sys.path.remove(str(folder))
    net = my_layers.Net()
    net(np.ones((1, 3), np.float32))
    models = {
        "class": small(my_layers.Scaling(3.0)),
        "registered": small(my_layers.Registered(3.0)),
        "activation": small(layers.Dense(2, activation=my_layers.swishy)),
        "initializer": small(layers.Dense(2, kernel_initializer=my_layers.tens)),
        "lambda": small(layers.Lambda(my_layers.swishy, output_shape=(3,))),
        "several": small(my_layers.Scaling(2.0), layers.Activation(my_layers.swishy)),
        "net": net,
    }
    x = np.linspace(-1, 1, 6, dtype=np.float32).reshape(2, 3)
    for name, model in models.items():
        model.save(folder / f"{name}.keras")
        model.save(folder / f"{name}.h5")
    legacy = small(layers.Dense(2))
    legacy.save(folder / "named.h5")
    with h5py.File(folder / "named.h5", "r+") as file:
        config = file.attrs["model_config"]
        file.attrs["model_config"] = config.replace('"activation": "linear"', '"activation": "swishy"')
    del sys.modules["my_layers"]
    keras.saving.get_custom_objects().pop("mine>Registered", None)
    return folder, x, {name: model(x) for name, model in models.items()}


@pytest.fixture(autouse=True)
def _forgotten():
    yield
    for name in ("my_layers", "stops", "needs_more", "of_keras_2"):
        sys.modules.pop(name, None)
    keras.saving.get_custom_objects().pop("mine>Registered", None)


def small(*made):
    return keras.Sequential([keras.Input((3,), name="input"), *made])


def refusal(path, **options):
    with pytest.raises(ModelError) as caught:
        load_model(str(path), **options)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 690
    return str(caught.value)


NEEDED = {
    "class": ("Scaling",),
    "registered": ("Registered",),
    "activation": ("swishy",),
    "initializer": ("tens",),
    "lambda": ("swishy",),
    "several": ("Scaling", "swishy"),
    "net": ("Net",),
}


@pytest.mark.parametrize("ending", ["keras", "h5"])
@pytest.mark.parametrize("name", NEEDED)
def test_model_with_named_code_is_refused_with_the_option_that_opens_it(folder, name, ending):
    path, x, truth = folder[0] / f"{name}.{ending}", *folder[1:]
    sentence = refusal(path)
    assert "--trust" not in sentence
    for needed in NEEDED[name]:
        assert f":{needed}" in sentence
        assert "--custom" in sentence
    if (name, ending) == ("net", "h5"):
        assert "save it with model.save('model.keras')" in refusal(path, custom=("my_layers:Net",))
        return
    loaded = load_model(str(path), custom=tuple(f"my_layers:{needed}" for needed in NEEDED[name]))
    assert np.allclose(loaded.model(x), truth[name], atol=1e-6)
    assert not loaded.notes


def test_class_of_a_known_module_is_asked_for_by_module_and_name(folder):
    assert "Add --custom my_layers:Scaling; the module is imported" in refusal(folder[0] / "class.keras")
    assert "Add --custom MODULE:Scaling, where MODULE is" in refusal(folder[0] / "class.h5")


def test_function_that_a_setting_names_is_asked_for(folder):
    assert "named.h5 needs swishy, which the file does not hold" in refusal(folder[0] / "named.h5")
    model = load_model(str(folder[0] / "named.h5"), custom=("my_layers:swishy",)).model
    assert model.layers[0].activation.__name__ == "swishy"


def test_custom_takes_a_dictionary_and_the_working_folder(folder, tmp_path, monkeypatch):
    alone = tmp_path / "several.keras"
    alone.write_bytes((folder[0] / "several.keras").read_bytes())
    sentence = refusal(alone, custom=("my_layers:ALL",))
    assert "there is no module my_layers in the working folder, beside several.keras" in sentence
    monkeypatch.chdir(folder[0])
    assert np.allclose(load_model(str(alone), custom=("my_layers:ALL",)).model(folder[1]), folder[2]["several"])


@pytest.mark.parametrize(
    ("custom", "said"),
    [
        ("my_layers:Scalling", "my_layers has no Scalling; did you mean Scaling?"),
        ("my_layers:qqq", "my_layers has no qqq; it has Scaling, Registered, Net"),
        ("my_layers:number", "is a int; expected a class, a function"),
        ("stops:Layer", "stops cannot be imported (it ends the program)"),
        ("needs_more:Layer", "No module named 'a_package_that_nobody_has'. Install what it needs."),
        ("of_keras_2:Layer", "is a class of Keras 2 (tf_keras); expected one of Keras 3"),
        ("my_layers", "--custom takes MODULE:NAME"),
        ("my_layers:", "--custom takes MODULE:NAME"),
        ("my_layers.py:Scaling", "without .py, such as my_layers:Scaling"),
        ("../my_layers:Scaling", "--custom takes MODULE:NAME"),
    ],
)
def test_wrong_name_of_a_custom_object_is_refused(folder, custom, said):
    assert said in refusal(folder[0] / "class.keras", custom=(custom,))


def test_custom_is_refused_for_models_without_code_of_their_own():
    assert "--custom goes with a model file of Keras" in refusal("keras:VGG16", custom=("my_layers:Scaling",))


def test_module_that_the_user_does_not_name_is_not_imported(folder):
    refusal(folder[0] / "class.keras")
    refusal(folder[0] / "registered.keras", custom=("of_keras_2:json",))
    assert "my_layers" not in sys.modules


def test_code_inside_a_file_still_needs_trust(folder, tmp_path, monkeypatch):
    monkeypatch.chdir(folder[0])
    small(layers.Lambda(lambda x: x * 2, name="twice"), layers.Activation("relu")).save(tmp_path / "m.keras")
    assert "carries code of its own: Lambda 'twice'" in refusal(tmp_path / "m.keras", custom=("my_layers:swishy",))


def test_option_reaches_the_request(tmp_path):
    request = Model(custom=("a:B", "c:D")).options().request("m.keras", tmp_path / "run.zarr")
    assert request.loading.custom == ("a:B", "c:D")
