"""Record a training: the Keras callback, its measurements and its probe samples."""
