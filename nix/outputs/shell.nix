# For work on snowshed itself.
pkgs:
let
  inherit (pkgs) lib;
  library = (pkgs.callPackage ../packages/snowshed.nix { }).library;
in
pkgs.mkShellNoCC {
  packages = [
    (pkgs.python3.withPackages (
      p:
      library.dependencies
      ++ [
        p.hypothesis
        p.mypy
        p.pyte
        p.pytest
        p.pytest-asyncio
        p.pytest-randomly
        p.pytest-timeout
      ]
    ))
    pkgs.erofs-utils
    pkgs.openssh
    pkgs.ruff
  ]
  ++ lib.optional pkgs.stdenv.hostPlatform.isLinux pkgs.qemu;
  shellHook = ''
    export PYTHONPATH=$PWD/src
  '';
}
