# services.snowshed on Linux hosts with NixOS.
{
  imports = [
    ../options
    ../shared/assertions.nix
    ../shared/builders.nix
    ./files.nix
    ./nix.nix
    ./registration.nix
    ./user.nix
    ./units.nix
  ];
}
