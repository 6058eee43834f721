# The command, with the programs that it calls, and on a Mac the interpreter for Virtualization.framework.
#
# It runs its supervisor with `python -m`, so what is wrapped here is an environment and not one script.
{
  lib,
  stdenv,
  callPackage,
  makeBinaryWrapper,
  python3,
  runCommand,
  apt,
  bash,
  dpkg,
  erofs-utils,
  kmod,
  openssh,
  qemu,
  util-linux,
  virtiofsd,
  withQemu ? stdenv.hostPlatform.isLinux,
}:
let
  inherit (stdenv.hostPlatform) isDarwin isLinux;

  pyobjc = import ./pyobjc.nix {
    inherit lib;
    python = python3;
  };
  library = import ./library.nix {
    inherit lib;
    python = python3;
    pyobjc = lib.optionals isDarwin [
      pyobjc.libdispatch
      pyobjc.virtualization
    ];
  };
  environment = python3.withPackages (_: [ library ]);
  vzPython = callPackage ./vz-python.nix {
    python = python3;
    inherit environment;
  };

  programs = [
    openssh
    erofs-utils
  ]
  ++ lib.optional withQemu qemu
  ++ lib.optionals isLinux [
    apt
    dpkg
    kmod
    # For shared directories, which a unit of NixOS has none of on its path: unshare, mount, setpriv; sh; and who
    # serves them.
    bash
    util-linux
    virtiofsd
  ];
in
runCommand "snowshed-${library.version}"
  {
    nativeBuildInputs = [ makeBinaryWrapper ];
    passthru = {
      inherit
        environment
        library
        programs
        vzPython
        ;
      inherit (library) version;
    };
    meta = {
      description = "A Linux machine that is ready whenever Nix needs one";
      license = lib.licenses.mit;
      mainProgram = "snowshed";
      platforms = lib.platforms.darwin ++ lib.platforms.linux;
    };
  }
  ''
    wrap() {
      makeWrapper "$1" "$2" --suffix PATH : ${lib.makeBinPath programs} \
        ${lib.optionalString isDarwin "--set-default SNOWSHED_VZ_PYTHON ${vzPython}/bin/python3"} "''${@:3}"
    }
    wrap ${environment}/bin/snowshed $out/bin/snowshed
    wrap ${environment}/bin/python3 $out/libexec/snowshed-register --add-flags "-m snowshed.nix.registration"
  ''
