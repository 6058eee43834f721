# Options of one builder: what its guest boots from.
{ lib }:
let
  inherit (lib) mkOption types;

  part = what: example: mkOption {
    type = types.nullOr types.str;
    default = null;
    inherit example;
    description = "${what} Give kernelPath, initrdPath and systemPath together, or none of them.";
  };
in
{
  image = mkOption {
    type = types.nullOr types.str;
    default = null;
    example = "/var/lib/images/builder";
    description = ''
      The image to boot: a directory with a `manifest.json`, or a name that `snowshed image list` shows. `null`: the
      image that belongs to this version.
    '';
  };

  kernelPath = part "Boot this kernel directly." (
    lib.literalExpression ''"''${inputs.snowshed.packages.aarch64-linux.guest-kernel}/Image"''
  );

  initrdPath = part "The initrd for the kernel." (
    lib.literalExpression ''"''${inputs.snowshed.packages.aarch64-linux.guest-initrd}/initrd"''
  );

  systemPath = part "The NixOS system that is started, in the host's store, which the guest sees read-only." (
    lib.literalExpression ''"''${inputs.snowshed.packages.aarch64-linux.guest-system}"''
  );

  extraConfig = mkOption {
    type = types.nullOr types.deferredModule;
    default = null;
    example = lib.literalExpression "{ pkgs, ... }: { environment.systemPackages = [ pkgs.htop ]; }";
    description = ''
      NixOS configuration of the guest. Setting it, even to `{ }`, makes the guest a NixOS system that is built for
      the purpose and booted from the host's store, which takes a Linux builder: have one running (this one, without
      this option), then set it. What can be said by another option is better said there, since that builds nothing.
    '';
  };
}
