# Name and address, as the seed says. Nobody waits for them: sshd listens before there is an address.
{ contract, lib, ... }:
let
  early = import ./early.nix { inherit contract; };
in
{
  networking = {
    useNetworkd = true;
    useDHCP = false;
    dhcpcd.enable = false;
    hostName = lib.mkDefault "";
  };

  systemd.network = {
    enable = true;
    wait-online.enable = false;
  };

  systemd.services.snowshed-network = early {
    description = "Name and address of this machine";
    before = [
      "network-pre.target"
      "systemd-networkd.service"
    ];
    environment = {
      NETWORKS = "/run/systemd/network";
      NAME = "/proc/sys/kernel/hostname";
    };
    script = builtins.readFile ./network.sh;
  };
}
