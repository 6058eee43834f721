"""A strict stand-in for Virtualization.framework as PyObjC shows it, built from ``tests/contracts/vz-contract.json``.

It offers exactly the classes, selectors, argument counts and types, out-parameters, enums and availability that the
contract holds for a given macOS and architecture; it refuses ``alloc().init()`` where PyObjC would, calls off the VM's
queue, and what is not kept alive that should be; and it behaves by the framework's rules.
"""
