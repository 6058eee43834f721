# PyObjC as far as snowshed needs it: the wheels of one release, all four of it, since mixed ones do not fit together.
# nixpkgs has an older one and not Virtualization.
{ lib, python }:
let
  version = "12.2.2";

  # By Python version: the platform in the wheels' names, and their hashes.
  wheels = {
    cp313 = {
      platform = "macosx_10_13_universal2";
      pyobjc_core = "sha256-lQvS2cdGNDmMTj0k7y8hPU4j1wUINpdGT6Z6/txTwa0=";
      pyobjc_framework_cocoa = "sha256-YAsXIxhMoJSTEzDnk1UnSUmWVGDiPeOGKNYBtalnuvk=";
      pyobjc_framework_libdispatch = "sha256-nGK4wDuejIkl/budWpVBwemkAj7AbxMSRB7f0WbzM5g=";
      pyobjc_framework_virtualization = "sha256-fjQ1us3gtLHgC2XO2cwwQx23ja/0+pByfGj0MaRugy4=";
    };
    cp314 = {
      platform = "macosx_10_15_universal2";
      pyobjc_core = "sha256-IGLorTCjEEQc0CJUSol1U0CL6+qngg1e26PJb9f9aTs=";
      pyobjc_framework_cocoa = "sha256-iJ17vUui1JQQeL+7+4ghOOUdvq0n3wBqv+Dy4NSbWy4=";
      pyobjc_framework_libdispatch = "sha256-JIiWQ0P5KC41IasvE2lIqOr3Q4NR3EXDnjS6I7n1vGs=";
      pyobjc_framework_virtualization = "sha256-7+uTuWGrzqL8R7GVj5EYxQuKhKO069LDADQwe0I0M/U=";
    };
  };

  tag = "cp${lib.replaceStrings [ "." ] [ "" ] python.pythonVersion}";
  known = wheels.${tag} or (throw "snowshed: PyObjC ${version} is pinned for Python 3.13 and 3.14, not ${python.pythonVersion}");

  wheel =
    pname: dependencies:
    python.pkgs.buildPythonPackage {
      inherit pname version dependencies;
      format = "wheel";
      src = python.pkgs.fetchPypi {
        inherit pname version;
        inherit (known) platform;
        format = "wheel";
        python = tag;
        abi = tag;
        dist = tag;
        hash = known.${pname};
      };
      # Signed as it is: stripping would undo that.
      dontStrip = true;
    };
in
rec {
  core = wheel "pyobjc_core" [ ];
  cocoa = wheel "pyobjc_framework_cocoa" [ core ];
  libdispatch = wheel "pyobjc_framework_libdispatch" [
    core
    cocoa
  ];
  virtualization = wheel "pyobjc_framework_virtualization" [
    core
    cocoa
  ];
}
