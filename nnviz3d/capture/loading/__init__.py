"""Load a model: from files of Keras 2 and 3, by name, or as an object."""
