"""The driver over krunkit: libkrun behind a command line like vfkit's."""
