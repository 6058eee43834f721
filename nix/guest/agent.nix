# qemu-guest-agent, by which the host shuts the guest down, sets its clock and has its disk trimmed: on QEMU's channel,
# elsewhere on a vsock port.
{
  contract,
  pkgs,
  ...
}:
let
  agent = "${pkgs.qemu_kvm.ga}/bin/qemu-ga --statedir /run/qemu-ga --pidfile /run/qemu-ga/pid";

  common = {
    # What the host runs through it.
    path = [
      pkgs.bash
      pkgs.coreutils
      pkgs.util-linux
    ];
    serviceConfig = {
      Restart = "always";
      RestartSec = 1;
      # Whatever builds take of the memory, the host can still talk to this machine.
      OOMScoreAdjust = -1000;
      RuntimeDirectory = "qemu-ga";
    };
  };
in
{
  services.udev.extraRules = ''
    SUBSYSTEM=="virtio-ports", ATTR{name}=="${contract.agent_channel}", TAG+="systemd", ENV{SYSTEMD_WANTS}+="snowshed-agent.service"
  '';

  systemd.services = {
    snowshed-agent = common // {
      description = "Guest agent on the hypervisor's channel";
      serviceConfig = common.serviceConfig // {
        ExecStart = "${agent} --method virtio-serial --path /dev/virtio-ports/${contract.agent_channel}";
      };
    };

    snowshed-agent-vsock = common // {
      description = "Guest agent on vsock";
      wantedBy = [ "multi-user.target" ];
      after = [ "systemd-udev-trigger.service" ];
      unitConfig = {
        ConditionPathExists = [
          "/dev/vsock"
          "!/dev/virtio-ports/${contract.agent_channel}"
        ];
      };
      serviceConfig = common.serviceConfig // {
        ExecStart = "${agent} --method vsock-listen --path 4294967295:${toString contract.ports.agent}";
      };
    };
  };
}
