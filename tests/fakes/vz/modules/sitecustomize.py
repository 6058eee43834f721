"""Makes Python believe that it runs on the Mac that ``FAKE_MACOS`` and ``FAKE_MACHINE`` describe."""

import os
import platform

if "FAKE_MACOS" in os.environ:
    machine = os.environ.get("FAKE_MACHINE", "arm64")
    platform.mac_ver = lambda *_: (os.environ["FAKE_MACOS"], ("", "", ""), machine)
    platform.machine = lambda: machine
