"""The capture on disk: names of its arrays, the Zarr reader, and the writers."""
