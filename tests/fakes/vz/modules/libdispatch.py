"""``import libdispatch`` on Linux: the stand-in's."""

import sys

from fakes.vz.process import standin

sys.modules[__name__] = standin().framework().dispatch  # type: ignore[assignment]
