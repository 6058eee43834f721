"""The process in which Virtualization.framework lives: ``python -m snowshed.drivers.vz.helper``.

It runs under an interpreter that carries the entitlement (see `signing`), and it is the only file that imports PyObjC.
``--channel N`` serves a VM over the socket N; ``--probe`` answers the question on its standard input.
"""

from __future__ import annotations

import argparse
import sys

import Foundation
import libdispatch
import objc
import Virtualization

from .framework import Framework
from .messages import Question, decode, encode
from .probe import facts
from .serve import serve


def main() -> None:
    """See the module."""
    parser = argparse.ArgumentParser(prog="snowshed-vz", description=__doc__)
    parser.add_argument("--channel", type=int)
    parser.add_argument("--probe", action="store_true")
    options = parser.parse_args()
    framework = Framework(Virtualization, Foundation, libdispatch, objc)
    if options.probe:
        sys.stdout.buffer.write(encode(facts(framework, decode(sys.stdin.buffer.read(), Question))))
        return
    serve(framework, options.channel)


if __name__ == "__main__":
    main()
