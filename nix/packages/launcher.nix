# See launcher.c. Its name is what macOS shows to people.
{ lib, stdenv }:
stdenv.mkDerivation {
  name = "snowshed-launcher";
  src = ./launcher.c;
  dontUnpack = true;
  buildPhase = ''
    $CC -O2 -Wall -Wextra -Werror -o snowshed $src
  '';
  installPhase = ''
    install -D snowshed $out/bin/snowshed
  '';
  meta.platforms = lib.platforms.darwin;
}
