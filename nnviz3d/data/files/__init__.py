"""Files and folders that a user names: paths, arrays, pictures, locks, unfinished files."""
