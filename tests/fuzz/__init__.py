"""A seeded fuzzer of the command line: damaged models, captures, scenes, pictures, arrays, class files and options."""
