# Kernel and initrd. Both boot without firmware tables of devices: virtio over PCI, and nothing else.
{ lib, ... }:
{
  boot = {
    # The kernel comes from the hypervisor, or as a unified image from the ESP.
    loader.grub.enable = false;
    initrd = {
      systemd.enable = true;
      includeDefaultModules = false;
      availableKernelModules = [
        "ext4"
        "virtio_blk"
        "virtio_console"
        "virtio_pci"
        "virtio_rng"
        "virtiofs"
      ];
    };
    kernelModules = [
      "virtio_balloon"
      "virtio_net"
    ];
    kernelParams = [
      "quiet"
      "net.ifnames=0"
      # A guest that cannot go on should end, so that its supervisor sees it.
      "panic=-1"
    ];
    # Nothing is resumed from a swap partition here: the hypervisor suspends.
    resumeDevice = lib.mkForce "";
  };
}
