# Writes the name of the machine, and a file for networkd, from the seed's settings. See network.nix.
#
# Given: SETTINGS, NETWORKS (a directory), NAME (the kernel's file for it).
# shellcheck disable=SC1090  # written by the host
[ ! -e "$SETTINGS" ] || . "$SETTINGS"

printf '%s' "${SNOWSHED_HOSTNAME:-snowshed}" > "$NAME"

card='[Match]\nType=ether\n\n[Link]\nRequiredForOnline=no\n\n[Network]\n'
mkdir -p "$NETWORKS"
case ${SNOWSHED_NETWORK:-none} in
static)
    {
        printf "$card"'Address=%s\n' "$SNOWSHED_ADDRESS"
        [ -z "${SNOWSHED_GATEWAY:-}" ] || printf 'Gateway=%s\n' "$SNOWSHED_GATEWAY"
        [ -z "${SNOWSHED_NAMESERVER:-}" ] || printf 'DNS=%s\n' "$SNOWSHED_NAMESERVER"
    } > "$NETWORKS/10-snowshed.network"
    ;;
dhcp)
    # macOS writes its leases down by what it is sent as client: the card's address can be found again, a DUID cannot.
    printf "$card"'DHCP=yes\n\n[DHCPv4]\nClientIdentifier=mac\n' > "$NETWORKS/10-snowshed.network"
    ;;
esac
