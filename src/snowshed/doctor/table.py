"""All checks, in the order in which they are made: what others depend on comes first."""

from __future__ import annotations

from . import builder, host, linux, mac_network, mac_rights, machine, nix
from .check import Table

TABLE: Table = (
    ("host", (*machine.CHECKS, *host.CHECKS, *linux.CHECKS, *mac_rights.CHECKS)),
    ("network", mac_network.CHECKS),
    ("Nix", nix.CHECKS),
    ("builder", builder.CHECKS),
)
