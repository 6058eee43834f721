"""snowshed keeps a Linux machine ready for Nix."""

__version__ = "0.1.0"
