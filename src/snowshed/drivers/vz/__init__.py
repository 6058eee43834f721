"""The driver over Virtualization.framework, with nothing in between.

The framework lives in a helper process (`helper`) under an interpreter that is allowed to use it (`signing`); the
supervisor's side (`driver`, `vm`, `client`) knows it by JSON lines (`messages`, `wire`). What is decided is decided in
`configuration` and `faults`, which are pure; what is done with the framework's objects is in `assemble`, `queue` and
`machine`, which are given the framework as a value and import none of it.
"""
