# The Python package.
{ lib, python, pyobjc }:
let
  inherit (python) pkgs;
  version = lib.head (
    builtins.match ".*__version__ = \"([^\"]+)\".*" (builtins.readFile ../../src/snowshed/__init__.py)
  );
in
pkgs.buildPythonPackage {
  pname = "snowshed";
  inherit version;
  pyproject = true;

  src = lib.fileset.toSource {
    root = ../..;
    fileset = lib.fileset.unions [
      ../../src
      ../../LICENSE
      ../../README.md
      ../../pyproject.toml
      ../../hatch_build.py
    ];
  };

  # the last two make the manual page: hatch_build.py
  build-system = [
    pkgs.hatchling
    pkgs.click
    pkgs.msgspec
  ];
  dependencies = [
    pkgs.click
    pkgs.msgspec
    pkgs.prometheus-client
    pkgs.qemu-qmp
    pkgs.rich
  ]
  ++ pyobjc;

  pythonImportsCheck = [ "snowshed" ];
}
