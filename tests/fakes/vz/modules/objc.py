"""``import objc`` on Linux: the stand-in's."""

import sys

from fakes.vz.process import standin

sys.modules[__name__] = standin().framework().objc  # type: ignore[assignment]
