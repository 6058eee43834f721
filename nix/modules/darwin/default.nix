# services.snowshed on macOS, for nix-darwin.
{
  imports = [
    ../options
    ../shared/assertions.nix
    ../shared/builders.nix
    ./assertions.nix
    ./daemons.nix
    ./files.nix
    ./nix.nix
    ./removal.nix
    ./user.nix
  ];
}
