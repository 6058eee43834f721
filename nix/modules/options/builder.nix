# Everything that can be said of the builder `name`: options, for a module that declares them where it wants.
{ lib, name }:
import ./boot.nix { inherit lib; }
// import ./machine.nix { inherit lib; }
// import ./nix.nix { inherit lib name; }
// import ./service.nix { inherit lib; }
