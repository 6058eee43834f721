# The Debian guest image for `system`, made on any host, a Mac included, from packages of the Debian archive alone: no
# Linux builder and no binary cache is needed. With `efi` it is a disk that UEFI firmware boots. scripts/pin-debian
# writes the lists.
{
  lib,
  dpkg,
  erofs-utils,
  fetchurl,
  runCommand,
  snowshed,
  system,
  efi ? false,
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
runCommand "snowshed-image-${lib.optionalString efi "efi-"}${system}"
  {
    nativeBuildInputs = [
      dpkg
      erofs-utils
      snowshed.environment
    ];
    packages = map fetch (pins.packages ++ lib.optional efi pins.stub);
    passthru = { inherit pins; };
    meta = {
      description = "Guest of snowshed, made of Debian ${pins.suite} packages";
      platforms = lib.platforms.unix;
    };
  }
  ''
    python3 -m snowshed.images.pinned ${lib.optionalString efi "--efi "}${list} $out $packages
  ''
