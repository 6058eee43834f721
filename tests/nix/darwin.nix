# Evaluated by test_darwin.py: configurations for nix-darwin, and what became of them.
{ nixpkgs, nix-darwin }:
let
  inherit (import ./mac.nix { inherit nixpkgs nix-darwin; }) lib module system;

  virby = ../../nix/modules/compat/virby.nix;
  darwin-vz = ../../nix/modules/compat/darwin-vz.nix;

  # Determinate's module, as far as ours touches it.
  determinate = {
    options.determinateNix = {
      enable = lib.mkEnableOption "Determinate Nix";
      customSettings = lib.mkOption { type = lib.types.attrsOf lib.types.anything; };
    };
    config.determinateNix.enable = true;
    config.nix.enable = lib.mkForce false;
  };

  etc = c: name: c.environment.etc.${name}.text;
  described = c: lib.mapAttrs (_: b: b.settings) c.services.snowshed.described;
  activation = c: name: c.system.activationScripts.${name}.text;
  daemons = c: lib.mapAttrs (_: file: file.text) (
    lib.filterAttrs (name: _: lib.hasInfix "snowshed" name) c.environment.launchDaemons
  );

  seen = c: {
    toplevel = c.system.build.toplevel.drvPath;
    settings = described c;
    inherit (c.services.snowshed) plan;
    daemons = daemons c;
    ssh = lib.mapAttrs (_: file: file.text) (
      lib.filterAttrs (name: _: lib.hasPrefix "ssh/ssh_config.d/100-" name && !lib.hasSuffix "nix-darwin.conf" name)
        c.environment.etc
    );
    extraActivation = activation c "extraActivation";
    script = c.system.activationScripts.script.text;
    inherit (c) warnings;
    nix = lib.optionalAttrs c.nix.enable {
      inherit (c.nix) distributedBuilds;
      inherit (c.nix.settings) builders builders-use-substitutes build-poll-interval;
    };
  };
in
{
  plain = seen (system [
    module
    { services.snowshed.enable = true; }
  ]);

  several = seen (system [
    module
    {
      services.snowshed = {
        enable = true;
        cores = 8;
        memory = "6GiB";
        rosetta = true;
        allowUserSsh = true;
        onDemand.enable = true;
        sharedDirectories.ccache = "/var/cache/ccache";
        settings.stop_grace = 60;
        caBundle = "/etc/ssl/certs/ca-certificates.crt";
        netrc = "/etc/nix/netrc";
        proxy = "http://proxy.example:3128";
        noProxy = "localhost";
        builders.intel = {
          system = "x86_64-linux";
          port = 31223;
          driver = "qemu";
          maxJobs = 2;
          supportedFeatures = [ "big-parallel" ];
        };
      };
    }
  ]);

  off = {
    script = (system [ module ]).system.activationScripts.script.text;
    purged = (system [
      module
      { services.snowshed.removeData = true; }
    ]).system.activationScripts.postActivation.text;
  };

  # Only what is here and there differs, so these are small.
  guest =
    let
      with_ = more: (system [
        module
        { services.snowshed = { enable = true; extraConfig = { }; } // more; }
      ]).services.snowshed.described.default.settings;
      paths = s: { inherit (s) kernel initrd system_path; };
    in
    {
      one = paths (with_ { });
      other = paths (with_ {
        cores = 2;
        memory = 4096;
        rosetta = true;
        diskSize = "20G";
        sharedDirectories.a = "/tmp/a";
      });
      richer = paths (with_ { extraConfig = { environment.variables.SNOW = "deep"; }; });
    };

  determinate = {
    module = (system [
      module
      determinate
      { services.snowshed.enable = true; }
    ]).determinateNix.customSettings;
    alone = etc (system [
      module
      {
        nix.enable = false;
        services.snowshed = {
          enable = true;
          supportDeterminateNix = true;
        };
      }
    ]) "nix/nix.custom.conf";
    byHand = (system [
      module
      {
        nix.enable = false;
        services.snowshed.enable = true;
      }
    ]).warnings;
  };

  virby = seen (system [
    virby
    {
      services.virby = {
        enable = true;
        memory = "8GiB";
        onDemand.enable = true;
        onDemand.ttl = 60;
        sharedDirectories.scratch = "/tmp/virby";
      };
    }
  ]);

  darwinVz = seen (system [
    darwin-vz
    {
      services.darwin-vz = {
        enable = true;
        cores = 8;
        idleTimeout = 30;
        kernelPath = "/nix/store/kernel/Image";
        initrdPath = "/nix/store/initrd/initrd";
        systemPath = "/nix/store/system";
      };
    }
  ]);

  # What a driver's daemon finds on its path, and what its guest boots.
  drivers =
    let
      c = system [
        module
        {
          services.snowshed = {
            enable = true;
            driver = "vfkit";
            builders.krun = {
              driver = "krunkit";
              port = 31223;
            };
            builders.intel = {
              system = "x86_64-linux";
              port = 31224;
            };
            builders.own.port = 31225;
          };
        }
      ];
    in
    {
      toplevel = c.system.build.toplevel.drvPath;
      paths = lib.mapAttrs (
        name: _: c.launchd.daemons."snowshed-${name}".serviceConfig.EnvironmentVariables.PATH
      ) c.services.snowshed.described;
      images = lib.mapAttrs (_: b: b.settings.image) c.services.snowshed.described;
    };

  # Where the command finds a builder in a predecessor's directory.
  elsewhere = lib.mapAttrs (_: file: file.text) (
    lib.filterAttrs (name: _: lib.hasSuffix ".state" name) (system [
      virby
      { services.virby.enable = true; }
    ]).environment.etc
  );

  linuxBuilder =
    let
      c = config: system [
        (
          { pkgs, ... }:
          {
            nix.linux-builder = {
              enable = true;
              ephemeral = true;
              inherit config;
              package = import ../../nix/linux-builder {
                inherit lib pkgs;
                snowshed = pkgs.callPackage ../../nix/packages/snowshed.nix { };
              };
            };
          }
        )
      ];
      shown = c: {
        toplevel = c.system.build.toplevel.drvPath;
        inherit (c.nix.linux-builder.package) settings;
        machines = etc c "nix/machines";
        inherit (c.launchd.daemons.linux-builder) script;
      };
    in
    {
      sizes = shown (c {
        virtualisation.cores = 6;
        virtualisation.darwin-builder.diskSize = 40960;
        networking.hostName = "bob";
      });
      more = shown (c { environment.variables.SNOW = "deep"; });
    };
}
