"""QEMU: KVM, HVF or emulation, on Linux and macOS."""
