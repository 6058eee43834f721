"""Telling Nix about a builder."""
