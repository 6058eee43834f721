"""``python -m snowshed.cli``: the same as `snowshed`."""

from __future__ import annotations

import sys

from .main import main

if __name__ == "__main__":
    sys.exit(main())
