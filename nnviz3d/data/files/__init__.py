"""Files and folders: paths, arrays, pictures, locks, unfinished files."""
