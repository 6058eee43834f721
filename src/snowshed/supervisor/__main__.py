"""``python -m snowshed.supervisor``: what `snowshed run` becomes and `snowshed start` starts."""

from __future__ import annotations

import sys

from .main import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
