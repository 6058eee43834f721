# systemd: a socket for every builder, which systemd holds, and the service behind it.
{
  config,
  lib,
  utils,
  ...
}:
let
  cfg = config.services.snowshed;
  hardening = import ./hardening.nix { inherit lib; };
  sizes = import ../shared/sizes.nix;

  # What the hypervisor may take of the host: the guest's memory, at most 8 GiB where nobody said, and a quarter or a
  # gigabyte more for itself. An emulator translates code into memory of its own.
  mostMemory =
    builder:
    let
      guest = sizes.memory (builder.settings.memory or "8G");
    in
    builtins.ceil (guest + lib.max sizes.gib (guest / 4));

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
        Type = "exec";
        ExecStart = utils.escapeSystemdExecArgs [
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
        # Every connection takes two descriptors, and virtiofsd one for every file that the guest knows.
        LimitNOFILE = 16384;
        # A guest that takes too much is ended alone, and the supervisor says so.
        MemoryMax = toString (mostMemory builder);
        OOMPolicy = "continue";
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
