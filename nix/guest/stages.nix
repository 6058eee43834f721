# What the guest says on its console as it gets there, for the host that waits: a mark, and a stage or a failure; after
# another mark what it found out about itself.
#
# `boot` is announced by ./seed.nix, and `nix` once the daemon has opened its store and answered.
{
  config,
  contract,
  lib,
  pkgs,
  ...
}:
let
  say = pkgs.writeShellScript "snowshed-say" ''
    mark=${lib.escapeShellArg contract.stage_mark}
    if [ "$1" = --fact ]; then
      mark=${lib.escapeShellArg contract.fact_mark}
      shift
    fi
    printf '\n%s %s\n' "$mark" "$*" > /dev/console
  '';

  ownDisk = config.fileSystems ? ${contract.data_dir};

  reached = {
    disk = if ownDisk then "data.mount" else "local-fs.target";
    sshd = "sshd.service";
    nix = "nix-daemon.socket";
  };

  announce = stage: unit: {
    name = "snowshed-stage-${stage}";
    value = {
      description = "Tell the host that ${unit} is up";
      wantedBy = [ "multi-user.target" ];
      requires = [ unit ];
      after = [ unit ];
      serviceConfig = {
        Type = "oneshot";
        RemainAfterExit = true;
        ExecStart = "${say} ${stage}";
      };
    };
  };
in
{
  assertions = [
    {
      assertion = lib.naturalSort contract.stages == lib.naturalSort ([ "boot" ] ++ lib.attrNames reached);
      message = "The NixOS guest announces other stages than src/snowshed/guest/contract.json names.";
    }
  ];

  _module.args.say = say;

  systemd.services = lib.mkMerge [
    (lib.mapAttrs' announce reached)
    {
      snowshed-stage-nix.preStart = ''
        ${lib.getExe' config.nix.package "nix"} --extra-experimental-features nix-command store info \
          --store 'unix:///nix/var/nix/daemon-socket/socket?root=${contract.data_dir}' 2> /dev/null ||
          { ${say} failed nix "the daemon does not answer"; exit 1; }
      '';
    }
  ];
}
