"""Work on several processes or machines by Dask, which is imported in this package alone.

A program connects to a cluster (`connection`), hands out orders (`jobs`), and puts their results together
(`capture_job`, `embedding_job`, `film_job`). A worker carries out one order at a time (`tasks`), in a process of its own
for each kind: models run in a capture process, frames are drawn in a drawing process, so that TensorFlow and VTK never
share a process and neither of them is in the worker itself.
"""
