"""The Python API: runs the commands in a process of their own, on files, scenes, captures and live models."""
