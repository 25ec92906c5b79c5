"""The version of the package, for pickles, files and those who build it."""

__version__ = "0.1.0"
