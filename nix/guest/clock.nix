# The time is the host's: from the clock chip at boot, and from the agent after a sleep. Where there is no such chip, or a
# wrong one, the seed has it to within seconds; the host is told, and sets it exactly. No server is asked.
{
  contract,
  lib,
  pkgs,
  say,
  ...
}:
let
  early = import ./early.nix { inherit contract; };
in
{
  services.timesyncd.enable = lib.mkDefault false;
  time.timeZone = lib.mkDefault "UTC";

  systemd.services.snowshed-clock = early {
    description = "The host's time, where there is no clock";
    before = [ "time-set.target" ];
    script = ''
      [ ! -e "$SETTINGS" ] || . "$SETTINGS"
      read -r uptime _ < /proc/uptime
      now=$((''${SNOWSHED_TIME:-0} + ''${uptime%.*}))
      off=$(($(date +%s) - now))
      if [ "$off" -lt 0 ] || [ "$off" -gt 300 ]; then
        date --set "@$now" > /dev/null
        ${say} --fact clock guessed
      fi
    '';
  };

  # Apple's hypervisor and QEMU's `virt` have a PL031.
  boot.initrd.availableKernelModules = lib.optional pkgs.stdenv.hostPlatform.isAarch64 "rtc_pl031";
}
