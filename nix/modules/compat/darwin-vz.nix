# For those who come from darwin-vz-nix: its options under its names, with its defaults, its name for ssh and its
# working directory.
{
  config,
  lib,
  options,
  ...
}:
let
  inherit (lib) mkOption types;
  cfg = config.services.darwin-vz;

  own = type: default: description: mkOption { inherit type default description; };
  path = what: own (types.nullOr types.str) null "${what} of a guest of snowshed; null boots its image.";

  warnings =
    import ./accept.nix
      {
        old = "darwin-vz";
        names = lib.genAttrs [
          "cores"
          "diskSize"
          "idleTimeout"
          "initrdPath"
          "kernelPath"
          "maxJobs"
          "memory"
          "protocol"
          "rosetta"
          "supportedFeatures"
          "systemPath"
          "verbose"
          "workingDirectory"
        ] lib.id // { extraNixOSConfig = "extraConfig"; };
        removed.package = "(remove it: the command is snowshed's)";
      }
      { inherit lib options; };
in
{
  imports = [ ../darwin ];

  options.services.darwin-vz = {
    enable = lib.mkEnableOption "a Linux builder, as darwin-vz-nix had it";
    package = own (types.nullOr types.package) null "Not used: the command is snowshed's.";
    cores = own types.ints.positive 4 "Processor cores of the guest.";
    memory = own types.ints.positive 8192 "Memory of the guest in MiB.";
    diskSize = own types.str "100G" "Size of the data disk.";
    rosetta = own types.bool true "Whether the guest builds for x86_64-linux through Rosetta.";
    idleTimeout = own types.ints.unsigned 180 "Minutes without a connection until the guest sleeps. 0: never.";
    workingDirectory = own types.str "/var/lib/darwin-vz-nix" "Where the builder's disk and keys are kept.";
    kernelPath = path "The kernel";
    initrdPath = path "The initrd";
    systemPath = path "The system";
    maxJobs = own types.ints.positive cfg.cores "Builds at once." // {
      defaultText = lib.literalExpression "config.services.darwin-vz.cores";
    };
    protocol = own types.str "ssh-ng" "The protocol that Nix speaks with the builder.";
    supportedFeatures = own (types.listOf types.str) [
      "kvm"
      "benchmark"
      "big-parallel"
    ] "Features that Nix is told of, as far as the guest has them.";
    verbose = own types.bool false "Whether the guest's console goes to the service's log.";
    extraNixOSConfig = own (types.nullOr types.deferredModule) null "NixOS configuration of the guest.";
  };

  config = lib.mkIf cfg.enable {
    inherit warnings;
    services.snowshed = {
      enable = true;
      inherit (cfg) workingDirectory;
      builders.default = lib.mapAttrs (_: lib.mkDefault) {
        inherit (cfg)
          cores
          diskSize
          idleTimeout
          initrdPath
          kernelPath
          maxJobs
          memory
          protocol
          rosetta
          supportedFeatures
          systemPath
          verbose
          ;
        extraConfig = cfg.extraNixOSConfig;
        hostName = "darwin-vz-nix";
      };
    };
  };
}
