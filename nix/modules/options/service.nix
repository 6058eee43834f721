# Options of one builder: how it is run, and put to sleep.
{ lib }:
let
  inherit (lib) mkOption types;
in
{
  enable = mkOption {
    type = types.bool;
    default = true;
    description = "Whether there is this builder.";
  };

  port = mkOption {
    type = types.port;
    default = 31222;
    description = "The port on 127.0.0.1 on which SSH reaches the guest. Each builder needs its own.";
  };

  onDemand = {
    enable = mkOption {
      type = types.bool;
      default = false;
      description = ''
        Whether the guest is booted by the first connection and not together with the host. Nix does not notice:
        connections are held until the guest is ready.
      '';
    };

    ttl = mkOption {
      type = types.ints.unsigned;
      default = 180;
      description = "Minutes without a connection after which a guest on demand is put to sleep. 0: never.";
    };
  };

  idleTimeout = mkOption {
    type = types.nullOr types.ints.unsigned;
    default = null;
    example = 30;
    description = ''
      Minutes without a connection after which the guest is put to sleep; the next connection wakes it. 0: never.
      `null`: what `onDemand.ttl` says.
    '';
  };

  idleAction = mkOption {
    type = types.enum [
      "auto"
      "suspend"
      "pause"
      "stop"
    ];
    default = "auto";
    description = ''
      How it is put to sleep: `suspend` writes its memory to the disk and gives it back, `stop` shuts it down, `pause`
      keeps the memory. `auto` suspends where that is possible, and else stops.
    '';
  };

  verbose = mkOption {
    type = types.bool;
    default = false;
    description = "Whether the guest's console also goes to the service's log.";
  };

  debug = mkOption {
    type = types.bool;
    default = false;
    description = "The same as `verbose`: snowshed's own log holds everything in any case.";
  };

  settings = mkOption {
    type = types.attrsOf types.anything;
    default = { };
    example = {
      stop_grace = 60;
      watchdog.action = "restart";
    };
    description = ''
      More settings of `snowshed config schema`, by their names there, above all those that have no option here. They
      win over the options.
    '';
  };
}
