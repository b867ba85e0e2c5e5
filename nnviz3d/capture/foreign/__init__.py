"""Models that run in a runtime of their own, without Keras: their graph and the values of all inner tensors."""
