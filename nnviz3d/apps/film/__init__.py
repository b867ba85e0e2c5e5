"""Where the frames of a film go: encoded into a file, or into a folder of pictures."""
