# What a driver, or this host, cannot do.
{ lib, host, ... }:
b:
let
  inherit (b) engine;
  macOnly = [ "vz" ] ++ plain;
  # Neither writes memory to the disk, and neither keeps a guest from writing in a shared directory.
  plain = [
    "krunkit"
    "vfkit"
  ];
  shares = lib.attrValues b.sharedDirectories;
  lends = shares != [ ] || b.settings ? system_path || b.settings.share_nix_store or false;
in
[
  {
    assertion = b.rosetta -> host.isDarwin && host.isAarch64;
    message =
      "Rosetta is for Macs with Apple silicon: set rosetta = false"
      + lib.optionalString host.isAarch64 ", and emulate = [ \"x86_64-linux\" ]"
      + ".";
  }
  {
    assertion = b.rosetta -> b.system != "x86_64-linux";
    message = "Rosetta translates x86_64 for an aarch64 guest, and this one is x86_64-linux: remove one of them.";
  }
  {
    assertion = b.rosetta -> b.driver != "krunkit" && b.driver != "qemu";
    message = "${b.driver} has no Rosetta: set driver = \"vz\" or \"vfkit\", or rosetta = false.";
  }
  {
    assertion = lib.elem engine macOnly -> host.isDarwin;
    message = "driver = \"${engine}\" exists on macOS alone: set driver = \"qemu\" or \"auto\".";
  }
  {
    assertion = lib.elem engine macOnly && host.isDarwin -> !b.foreign;
    message =
      "${engine} runs guests of the Mac's own processor alone, and this one is ${b.settings.system}: set driver = \"auto\" "
      + "or \"qemu\".";
  }
  {
    assertion = engine == "krunkit" -> host.isAarch64;
    message = "krunkit runs on Apple silicon alone: set driver = \"auto\".";
  }
  {
    assertion = b.accelerator == "kvm" -> host.isLinux;
    message = "KVM is Linux's: set accelerator = \"hvf\" or \"auto\".";
  }
  {
    assertion = b.accelerator == "hvf" -> host.isDarwin;
    message = "HVF is macOS's: set accelerator = \"kvm\" or \"auto\".";
  }
  {
    assertion = b.foreign -> !lib.elem b.accelerator [ "kvm" "hvf" ];
    message =
      "${b.accelerator} executes guests of the host's own processor alone, and this one is ${b.settings.system}: set "
      + "accelerator = \"auto\".";
  }
  {
    assertion = b.accelerator == "tcg" -> engine == "qemu";
    message = "only QEMU emulates a processor: set driver = \"qemu\", or accelerator = \"auto\".";
  }
  {
    assertion = lib.elem engine plain -> b.idleAction != "suspend";
    message = "${engine} cannot write a guest's memory to the disk: set idleAction = \"auto\" or \"stop\".";
  }
  {
    assertion = lib.elem engine plain -> lib.all (share: !share.readOnly) shares;
    message =
      "${engine} cannot share a directory read-only: set driver = \"vz\", or readOnly = false where the guest may write.";
  }
  {
    assertion = host.isDarwin && engine == "qemu" -> !lends;
    message =
      "QEMU shares directories, the Nix store for extraConfig among them, on Linux hosts alone: remove what is shared, or "
      + "let a guest of the Mac's own processor run with driver = \"vz\".";
  }
]
