# Name and address, as the seed says. Nobody waits for them: sshd listens before there is an address.
{
  contract,
  lib,
  pkgs,
  ...
}:
let
  early = import ./early.nix { inherit contract; };

  # macOS writes its leases down by what it is sent as client: the card's address can be found again, a DUID cannot.
  dhcp = pkgs.writeText "snowshed-dhcp.network" ''
    [Match]
    Type=ether

    [Network]
    DHCP=yes

    [DHCPv4]
    ClientIdentifier=mac

    [Link]
    RequiredForOnline=no
  '';
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
    script = ''
      printf '%s' "''${SNOWSHED_HOSTNAME:-snowshed}" > /proc/sys/kernel/hostname
      mkdir -p /run/systemd/network
      network=/run/systemd/network/10-snowshed.network
      case ''${SNOWSHED_NETWORK:-none} in
        static)
          {
            printf '[Match]\nType=ether\n\n[Network]\nAddress=%s\n' "$SNOWSHED_ADDRESS"
            [ -z "''${SNOWSHED_GATEWAY:-}" ] || printf 'Gateway=%s\n' "$SNOWSHED_GATEWAY"
            [ -z "''${SNOWSHED_NAMESERVER:-}" ] || printf 'DNS=%s\n' "$SNOWSHED_NAMESERVER"
          } > $network ;;
        dhcp) install -m 0644 ${dhcp} $network ;;
      esac
    '';
  };
}
