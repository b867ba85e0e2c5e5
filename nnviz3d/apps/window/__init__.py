"""The native window: its loop, keys, and camera."""
