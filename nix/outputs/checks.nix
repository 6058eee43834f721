# What `nix flake check` builds: the command, its tests that boot nothing, and on Linux the guest.
{
  pkgs,
  packages,
  source,
}:
let
  inherit (pkgs) lib;

  python = pkgs.python3.withPackages (
    p:
    packages.snowshed.library.dependencies
    ++ [
      p.hypothesis
      p.pyte
      p.pytest
      p.pytest-asyncio
      p.pytest-randomly
      p.pytest-timeout
    ]
  );
in
{
  inherit (packages) snowshed;

  unit-tests =
    pkgs.runCommand "snowshed-unit-tests"
      {
        nativeBuildInputs = [
          pkgs.dpkg
          pkgs.openssh
          python
        ];
      }
      ''
        export HOME=$TMPDIR PYTHONPATH=${source}/src
        cd ${source}
        pytest -p no:cacheprovider tests/unit
        touch $out
      '';
}
// lib.optionalAttrs pkgs.stdenv.hostPlatform.isLinux { inherit (packages) guest-system vm-image; }
