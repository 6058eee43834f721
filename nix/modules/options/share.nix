# One shared directory.
{ lib, ... }:
{
  options = {
    path = lib.mkOption {
      type = lib.types.str;
      example = "/var/cache/ccache";
      description = "The directory on the host.";
    };
    readOnly = lib.mkOption {
      type = lib.types.bool;
      default = true;
      description = "Whether the guest may only read.";
    };
  };
}
