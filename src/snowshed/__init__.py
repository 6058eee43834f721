"""snowshed keeps a Linux machine ready for Nix."""

__version__ = "0.1.0"

PROTOCOL = 1
"""Of the control socket (`model/wire.py`). It changes when an old client could misread a new supervisor, or the other
way round. It stands here for the client, which imports next to nothing."""
