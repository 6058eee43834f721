# What a guest boots from: the parts of a direct boot, and the raw EFI image.
{ guest }:
let
  closure = (guest "closure").config.system.build;
in
{
  guest-kernel = closure.kernel;
  guest-initrd = closure.initialRamdisk;
  guest-system = closure.toplevel;
  vm-image = (guest "image").config.system.build.image;
}
