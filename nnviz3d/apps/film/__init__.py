"""Films: frames encoded into a file, or written into a folder of pictures."""
