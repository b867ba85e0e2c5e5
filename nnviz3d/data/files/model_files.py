"""Names of the parts of an unpacked model file."""

CONFIG = "config.json"
METADATA = "metadata.json"
WEIGHTS = "model.weights.h5"
