# Evaluated by test_refusals.py: what the modules say of configurations that cannot be, or are unwise.
{ nixpkgs, nix-darwin }:
let
  inherit (import ./mac.nix { inherit nixpkgs nix-darwin; }) lib module system;

  failing = modules: lib.filter (a: !a.assertion) (system ([ module ] ++ modules)).assertions;
  messages = modules: map (a: a.message) (failing ([ { services.snowshed.enable = true; } ] ++ modules));
in
{
  failures = {
    port = messages [ { services.snowshed.builders.b.port = 31222; } ];
    neighbour = messages [
      {
        nix.linux-builder.enable = true;
        services.snowshed.port = 31022;
        services.snowshed.hostName = "linux-builder";
      }
    ];
    rosettaOnIntel = messages [
      {
        nixpkgs.system = "x86_64-darwin";
        services.snowshed.rosetta = true;
      }
    ];
    kernelAlone = messages [ { services.snowshed.kernelPath = "/nix/store/kernel/Image"; } ];
    kvm = messages [ { services.snowshed.accelerator = "kvm"; } ];
    krunkit = messages [
      {
        services.snowshed.driver = "krunkit";
        services.snowshed.rosetta = true;
        services.snowshed.idleAction = "suspend";
      }
    ];
    sizes = messages [
      {
        services.snowshed.memory = "lots";
        services.snowshed.diskSize = "-1G";
      }
    ];
    name = messages [ { services.snowshed.builders."Big One".port = 31223; } ];
    share = messages [ { services.snowshed.sharedDirectories.rosetta = "relative"; } ];
    directory = messages [ { services.snowshed.workingDirectory = "/var"; } ];
    none = messages [ { services.snowshed.builders.default.enable = false; } ];
    uid = messages [ { services.snowshed.uid = 350; } ];
    undistributed = messages [ { nix.distributedBuilds = false; } ];
    small = messages [
      {
        services.snowshed.memory = 256;
        services.snowshed.diskSize = "100M";
        services.snowshed.minFree = "9GiB";
        services.snowshed.settings.stop_grace = "1min";
      }
    ];
    names = messages [
      {
        services.snowshed.hostName = "a b";
        services.snowshed.sharedDirectories."a b" = "/";
        services.snowshed.sharedDirectories.all = "/var/lib/snowshed";
      }
    ];
    foreign = messages [
      {
        services.snowshed.driver = "vz";
        services.snowshed.system = "x86_64-linux";
        services.snowshed.accelerator = "hvf";
      }
    ];
    emulated = messages [ { services.snowshed.accelerator = "tcg"; } ];
    lent = messages [
      {
        services.snowshed.driver = "vfkit";
        services.snowshed.sharedDirectories.a = "/srv/a";
        services.snowshed.builders.intel = {
          system = "x86_64-linux";
          port = 31223;
          sharedDirectories.a = "/srv/a";
        };
        services.snowshed.builders.krun = {
          driver = "krunkit";
          port = 31224;
          extraConfig = { };
        };
      }
    ];
    settings = messages [
      {
        services.snowshed.settings = {
          stop_grase = 60;
          watchdog.timout = 1;
          port = 31999;
          metrics_port = 9000;
        };
        services.snowshed.builders.b = {
          port = 31223;
          settings.metrics_port = 9000;
        };
      }
    ];
  };

  # Refused by the option's type, in the module system's own words.
  words = (system [
    module
    {
      services.snowshed.enable = true;
      services.snowshed.idleAction = "sleep";
    }
  ]).services.snowshed.described.default.settings;

  warned = {
    krunkit =
      (system [
        module
        {
          services.snowshed = {
            enable = true;
            driver = "krunkit";
            onDemand.enable = true;
            maxJobs = 1;
          };
        }
      ]).warnings;
    neighbour =
      (system [
        module
        {
          services.snowshed.enable = true;
          nix.linux-builder.enable = true;
        }
      ]).warnings;
  };
}
