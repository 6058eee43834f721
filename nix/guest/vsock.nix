# SSH over vsock, where the hypervisor has it: no address, no lease, no wait.
#
# A socket unit of our own. The one that systemd's generator makes stops at 64 connections and leaves daemons behind
# when a connection ends (KillMode=process), so it is masked.
{
  config,
  contract,
  lib,
  ...
}:
{
  boot.kernelModules = [ "vmw_vsock_virtio_transport" ];

  systemd = {
    generators.systemd-ssh-generator = "/dev/null";

    sockets.snowshed-vsock = {
      description = "SSH over vsock";
      wantedBy = [ "sockets.target" ];
      unitConfig.ConditionPathExists = "/dev/vsock";
      socketConfig = {
        ListenStream = "vsock::${toString contract.ports.ssh}";
        Accept = true;
        MaxConnections = 1024;
        MaxConnectionsPerSource = 1024;
        TriggerLimitIntervalSec = 0;
        PollLimitIntervalSec = 0;
      };
    };

    services."snowshed-vsock@" = {
      description = "One SSH connection over vsock";
      requires = [ "snowshed-seed.service" ];
      after = [ "snowshed-seed.service" ];
      unitConfig.CollectMode = "inactive-or-failed";
      serviceConfig = {
        ExecStart = "-${lib.getExe' config.services.openssh.package "sshd"} -i -f /etc/ssh/sshd_config";
        StandardInput = "socket";
        StandardError = "journal";
      };
    };
  };
}
