# For those who come from Virby: its options under its names, with its defaults, its name for ssh and its working
# directory.
{
  config,
  lib,
  options,
  ...
}:
let
  inherit (lib) mkOption types;
  cfg = config.services.virby;

  own = type: default: description: mkOption { inherit type default description; };

  warnings =
    import ./accept.nix
      {
        old = "virby";
        names = lib.genAttrs [
          "allowUserSsh"
          "cores"
          "debug"
          "diskSize"
          "driver"
          "extraConfig"
          "memory"
          "nestedVirtualization"
          "onDemand.enable"
          "onDemand.ttl"
          "port"
          "rosetta"
          "sharedDirectories"
          "speedFactor"
          "supportDeterminateNix"
        ] lib.id;
      }
      { inherit lib options; };
in
{
  imports = [ ../darwin ];

  options.services.virby = {
    enable = lib.mkEnableOption "a Linux builder, as Virby had it";
    allowUserSsh = own types.bool false "Whether every user of the host may ssh into the guest.";
    cores = own types.ints.positive 8 "Processor cores of the guest, and builds at once.";
    debug = own types.bool false "Whether the service logs everything, and the guest's console.";
    diskSize = own types.str "100GiB" "Size of the data disk.";
    driver = own (types.enum [
      "krunkit"
      "vfkit"
    ]) "vfkit" "What runs the machine.";
    extraConfig = own (types.nullOr types.deferredModule) null "NixOS configuration of the guest.";
    memory = own (types.either types.ints.positive types.str) 6144 "Memory of the guest: MiB, or a size such as \"6GiB\".";
    nestedVirtualization = own types.bool false "Whether the guest may run virtual machines of its own.";
    onDemand = {
      enable = own types.bool false "Whether the first connection boots the guest.";
      ttl = own types.ints.unsigned 180 "Minutes without a connection until it sleeps.";
    };
    port = own types.port 31222 "The port on 127.0.0.1.";
    rosetta = own types.bool false "Whether the guest builds for x86_64-linux through Rosetta.";
    sharedDirectories = own (types.attrsOf types.str) { } "Directories that the guest may read and write, by name.";
    speedFactor = own types.ints.positive 1 "How fast the builder is in comparison with others.";
    supportDeterminateNix = own types.bool false "Whether Nix on this host is Determinate Nix.";
  };

  config = lib.mkIf cfg.enable {
    inherit warnings;
    services.snowshed = {
      enable = true;
      workingDirectory = "/var/lib/virby";
      inherit (cfg) supportDeterminateNix;
      builders.default = lib.mapAttrs (_: lib.mkDefault) {
        inherit (cfg)
          allowUserSsh
          cores
          debug
          diskSize
          driver
          extraConfig
          memory
          nestedVirtualization
          port
          rosetta
          speedFactor
          ;
        hostName = "virby-vm";
        maxJobs = cfg.cores;
        sharedDirectories = lib.mapAttrs (_: path: {
          inherit path;
          readOnly = false;
        }) cfg.sharedDirectories;
      } // {
        # An always-on guest of Virby's never slept.
        idleTimeout = lib.mkDefault (if cfg.onDemand.enable then cfg.onDemand.ttl else 0);
        onDemand.enable = lib.mkDefault cfg.onDemand.enable;
      };
    };
  };
}
