"""Checks of a host and a builder that change nothing."""
