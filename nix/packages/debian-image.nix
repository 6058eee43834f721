# The Debian guest image for `system`, made on any host, a Mac included, from packages of the Debian archive alone: no
# Linux builder and no binary cache is needed. scripts/pin-debian writes the lists.
{
  lib,
  dpkg,
  erofs-utils,
  fetchurl,
  runCommand,
  snowshed,
  system,
}:
let
  list = ../debian + "/${system}.json";
  pins = lib.importJSON list;

  fetch =
    package:
    fetchurl {
      name = lib.strings.sanitizeDerivationName (baseNameOf package.path);
      url = "mirror://debian/${package.path}";
      inherit (package) sha256;
    };
in
runCommand "snowshed-image-${system}"
  {
    nativeBuildInputs = [
      dpkg
      erofs-utils
      snowshed.environment
    ];
    packages = map fetch pins.packages;
    passthru = { inherit pins; };
    meta = {
      description = "Guest of snowshed, made of Debian ${pins.suite} packages";
      platforms = lib.platforms.unix;
    };
  }
  ''
    python3 -m snowshed.images.pinned ${list} $out $packages
  ''
