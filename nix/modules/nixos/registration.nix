# Makes the builders known to root's Nix, whenever one has started: host keys and true features exist only then.
{
  config,
  lib,
  pkgs,
  ...
}:
let
  cfg = config.services.snowshed;
in
{
  config.services.snowshed.asUser = [
    "${pkgs.util-linux}/bin/setpriv"
    "--reuid=${cfg.user}"
    "--regid=${cfg.user}"
    "--init-groups"
    "--"
  ];

  config.systemd = lib.mkIf cfg.enable {
    services.snowshed-registration = {
      description = "Make Linux builders known to Nix";
      wantedBy = [ "multi-user.target" ];
      # As often as a builder starts.
      startLimitIntervalSec = 0;
      environment.HOME = cfg.workingDirectory;
      serviceConfig = {
        # Nothing waits for it: it may itself wait for a guest that starts.
        Type = "exec";
        ExecStart = "${cfg.package}/libexec/snowshed-register ${cfg.planFile}";
        # Root's own part is to read a plan and write three files; the rest is done as the builders' user.
        CapabilityBoundingSet = "CAP_CHOWN CAP_DAC_OVERRIDE CAP_FOWNER CAP_SETGID CAP_SETUID";
        LockPersonality = true;
        NoNewPrivileges = true;
        PrivateDevices = true;
        PrivateNetwork = true;
        PrivateTmp = true;
        ProtectClock = true;
        ProtectControlGroups = true;
        ProtectHome = true;
        ProtectHostname = true;
        ProtectKernelLogs = true;
        ProtectKernelModules = true;
        ProtectKernelTunables = true;
        ProtectSystem = "strict";
        ReadWritePaths = [ cfg.workingDirectory ];
        RestrictAddressFamilies = "AF_UNIX";
        RestrictNamespaces = true;
        RestrictRealtime = true;
        RestrictSUIDSGID = true;
        SystemCallArchitectures = "native";
      };
    };

    paths.snowshed-registration = {
      description = "Notice that a Linux builder has started";
      wantedBy = [ "paths.target" ];
      pathConfig = {
        PathChanged = lib.mapAttrsToList (_: builder: "${builder.state}/vm.pid") cfg.described;
        TriggerLimitIntervalSec = 0;
      };
    };
  };
}
