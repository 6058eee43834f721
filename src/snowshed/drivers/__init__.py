"""What runs a VM: one package per hypervisor behind `drivers.base`."""
