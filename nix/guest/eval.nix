# A guest for `system`, booted by `boot` ("closure" or "image"), from a nixpkgs, with a user's `modules` on top.
{
  nixpkgs,
  system,
  boot ? "closure",
  modules ? [ ],
}:
import (nixpkgs + "/nixos/lib/eval-config.nix") {
  system = null;
  modules = [
    (./. + "/${boot}.nix")
    { nixpkgs.hostPlatform = system; }
  ]
  ++ modules;
}
