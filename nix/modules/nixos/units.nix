# systemd: a socket for every builder, which systemd holds, and the service behind it.
{ config, lib, ... }:
let
  cfg = config.services.snowshed;
  hardening = import ./hardening.nix { inherit lib; };

  socket = name: builder: {
    name = "snowshed-${name}";
    value = {
      description = "SSH to the Linux builder ${name}";
      wantedBy = [ "sockets.target" ];
      socketConfig = {
        ListenStream = "127.0.0.1:${toString builder.port}";
        FileDescriptorName = "ssh";
        Backlog = 1024;
        # Whoever connects in a loop is Nix.
        TriggerLimitIntervalSec = 0;
      };
    };
  };

  service = name: builder: {
    name = "snowshed-${name}";
    value = {
      description = "Linux builder ${name}";
      requires = [ "snowshed-${name}.socket" ];
      after = [
        "network.target"
        "snowshed-${name}.socket"
      ];
      wantedBy = lib.optional (!builder.onDemand.enable) "multi-user.target";
      environment.HOME = builder.state;
      serviceConfig = hardening builder // {
        ExecStart = lib.escapeShellArgs [
          "${cfg.package}/bin/snowshed"
          "run"
          "-b"
          name
          "--config"
          "${builder.settingsFile}"
          "--state-dir"
          builder.state
        ];
        User = cfg.user;
        Group = cfg.user;
        WorkingDirectory = builder.state;
        # The supervisor alone is told to end; it ends the rest in order.
        KillMode = "mixed";
        TimeoutStopSec = builder.stopPatience;
        Restart = "on-failure";
        RestartSec = 5;
      };
    };
  };
in
{
  config = lib.mkIf cfg.enable {
    systemd.sockets = lib.mapAttrs' socket cfg.described;
    systemd.services = lib.mapAttrs' service cfg.described;
    boot.kernelModules = [ "vhost_vsock" ];
    # The group kvm has /dev/kvm already.
    services.udev.extraRules = ''
      KERNEL=="vhost-vsock", GROUP="kvm", MODE="0660"
    '';
  };
}
