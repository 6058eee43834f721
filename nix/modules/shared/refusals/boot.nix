# What a guest cannot boot from.
{ lib, ... }:
b:
let
  parts = [
    b.kernelPath
    b.initrdPath
    b.systemPath
  ];
  direct = lib.any (part: part != null) parts;
in
[
  {
    assertion = direct -> lib.all (part: part != null) parts;
    message = "a direct boot needs kernelPath, initrdPath and systemPath together: set all three, or none.";
  }
  {
    assertion = direct -> b.image == null && b.extraConfig == null;
    message = "kernelPath, image and extraConfig are three ways to say what is booted: leave one of them.";
  }
  {
    assertion = b.image == null || b.extraConfig == null;
    message = "an image is booted as it is: remove image to have extraConfig, or extraConfig to have the image.";
  }
  {
    assertion = b.engine == "krunkit" -> !direct && b.extraConfig == null;
    message =
      "krunkit boots images for UEFI alone: set driver = \"vz\", or remove kernelPath and extraConfig; image may be such "
      + "an image.";
  }
]
