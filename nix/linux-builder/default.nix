# A package in the place of `pkgs.darwin.linux-builder`, for `nix.linux-builder.package` of nix-darwin and
# `determinateNix.nixosVmBasedLinuxBuilder.package`: one line there, and one line back.
#
# What that contract costs: the guest's host key is the one that nixpkgs publishes, so that everybody has its private
# half, and `kvm` is advertised whether or not the guest has it.
#
# With configuration that says nothing but sizes, the guest is snowshed's image and nothing is built. With more, it is a
# NixOS system, which takes a Linux builder to build, as it does with nixpkgs' package.
{
  lib,
  pkgs,
  snowshed,
}:
lib.makeOverridable (
  { modules }:
  let
    guest =
      modules:
      import ../guest/eval.nix {
        nixpkgs = pkgs.path;
        system = lib.mkDefault (lib.replaceStrings [ "darwin" ] [ "linux" ] pkgs.stdenv.hostPlatform.system);
        modules = [ ./options.nix ] ++ modules;
      };

    own = guest modules;
    inherit (own) config options;
    inherit (config.nixpkgs.hostPlatform) system;

    # Whether anything was said but sizes and a name: then there is another system to build.
    systemOf =
      modules: (guest (modules ++ [ { networking.hostName = lib.mkForce "any"; } ])).config.system.build.toplevel.drvPath;
    sameAsAlways = systemOf modules == systemOf [ ];

    settings = import ./settings.nix {
      inherit lib config options;
      boots =
        if sameAsAlways then
          { image = "${pkgs.callPackage ../packages/debian-image.nix { inherit snowshed system; }}"; }
        else
          {
            kernel = "${config.system.build.kernel}/${config.system.boot.loader.kernelFile}";
            initrd = "${config.system.build.initialRamdisk}/${config.system.boot.loader.initrdFile}";
            system_path = "${config.system.build.toplevel}";
          };
    };
    settingsFile = (pkgs.formats.json { }).generate "linux-builder.json" settings;

    hostKey = pkgs.path + "/nixos/modules/profiles/keys/ssh_host_ed25519_key";
  in
  pkgs.writeTextFile {
    name = "create-builder";
    executable = true;
    destination = "/bin/create-builder";
    text = ''
      #!${pkgs.runtimeShell}
      export PATH=${
        lib.makeBinPath [
          pkgs.coreutils
          pkgs.diffutils
          pkgs.openssh
        ]
      }:/usr/bin:/bin:/usr/sbin:/sbin
      export SNOWSHED=${snowshed}/bin/snowshed
      export CONFIG=${settingsFile}
      export HOST_NAME=${lib.escapeShellArg config.networking.hostName}
      export HOST_KEY=${hostKey}
      export KEYS_OF_NIX=/etc/nix
    ''
    + builtins.readFile ./create-builder.sh;
    checkPhase = ''
      ${pkgs.stdenv.shellDryRun} "$target"
    '';
    meta = {
      description = "snowshed in the place of nixpkgs' Linux builder";
      license = lib.licenses.mit;
      mainProgram = "create-builder";
      platforms = lib.platforms.darwin;
    };
    passthru = {
      nixosConfig = config;
      nixosOptions = options;
      inherit settings;
    };
  }
) { modules = [ ]; }
