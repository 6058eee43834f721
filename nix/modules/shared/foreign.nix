# The systems that a builder is to build for besides its own. Rosetta is a way to do it, so it is one of them.
{ lib }:
builder: lib.unique (builder.emulate ++ lib.optional builder.rosetta "x86_64-linux")
