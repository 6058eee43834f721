# A C program, compiled by a Debian toolchain that the derivation takes as ordinary inputs.
#
# `packages` is a JSON file: a list of { name, path, sha256 }, one for each package of the toolchain.
{ system, packages }:
let
  add =
    package:
    builtins.path {
      inherit (package) name path sha256;
      recursive = false;
    };
in
derivation {
  name = "hello-c";
  inherit system;
  builder = "/bin/sh";
  args = [ ./build.sh ];
  source = ./hello.c;
  packages = map add (builtins.fromJSON (builtins.readFile packages));
}
