# Options of one builder: the machine that it is.
{ lib }:
let
  inherit (lib) mkOption types;
in
{
  system = mkOption {
    type = types.nullOr (types.enum [
      "aarch64-linux"
      "x86_64-linux"
    ]);
    default = null;
    example = "x86_64-linux";
    description = "The system that the guest is. `null`: Linux on the host's own processor.";
  };

  cores = mkOption {
    type = types.nullOr types.ints.positive;
    default = null;
    example = 8;
    description = "Processor cores of the guest. `null`: 4, or as many as the host has if these are fewer.";
  };

  memory = mkOption {
    type = types.nullOr (types.either types.ints.positive types.str);
    default = null;
    example = "6GiB";
    description = ''
      Memory of the guest: a number of MiB, or a size such as `"6GiB"`. `null`: 8 GiB, or half of the host's if that
      is less.
    '';
  };

  diskSize = mkOption {
    type = types.str;
    default = "100G";
    example = "50G";
    description = ''
      Size of the data disk. The file is sparse: it takes what was written to it, and gives back what was deleted. A
      larger size is taken at the next start; a smaller one is refused.
    '';
  };

  driver = mkOption {
    type = types.enum [
      "auto"
      "qemu"
      "vz"
      "vfkit"
      "krunkit"
    ];
    default = "auto";
    description = ''
      What runs the machine. `auto` takes Virtualization.framework on a Mac, then vfkit, then QEMU, and QEMU on Linux.
    '';
  };

  accelerator = mkOption {
    type = types.enum [
      "auto"
      "kvm"
      "hvf"
      "tcg"
    ];
    default = "auto";
    description = "What executes the guest's instructions under QEMU. `auto` is whatever provably works.";
  };

  nestedVirtualization = mkOption {
    type = types.bool;
    default = false;
    description = ''
      Whether the guest may run virtual machines of its own. On a Mac this needs an M3 or later and macOS 15. Nix is
      told of `kvm` only when the running guest has it.
    '';
  };

  rosetta = mkOption {
    type = types.bool;
    default = false;
    description = ''
      Whether the guest builds for `x86_64-linux` through Rosetta (Apple silicon). Where Rosetta fails its probe at
      boot, qemu-user takes its place.
    '';
  };

  emulate = mkOption {
    type = types.listOf (types.enum [
      "aarch64-linux"
      "x86_64-linux"
    ]);
    default = [ ];
    example = [ "x86_64-linux" ];
    description = "Other systems that the guest builds for, by emulation in it.";
  };

  sharedDirectories = mkOption {
    type = types.attrsOf (types.coercedTo types.str (path: { inherit path; }) (types.submodule ./share.nix));
    default = { };
    example = lib.literalExpression ''
      {
        ccache = "/var/cache/ccache";
        scratch = { path = "/tmp/scratch"; readOnly = false; };
      }
    '';
    description = "Directories of the host that the guest sees under `/mnt/<name>`. A plain path is shared read-only.";
  };

  network = mkOption {
    type = types.enum [
      "nat"
      "restricted"
      "none"
    ];
    default = "nat";
    description = ''
      What the guest reaches: the world through the host's address, nothing at all, or nothing and without a card
      where that is possible. The host reaches the guest in each case.
    '';
  };
}
