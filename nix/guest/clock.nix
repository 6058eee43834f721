# The time is the host's: from the clock chip at boot, from the seed where there is no such chip, and from the agent
# after a sleep. No server is asked.
{
  contract,
  lib,
  pkgs,
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
      [ "$(date +%s)" -ge "$now" ] || date --set "@$now" > /dev/null
    '';
  };

  # Apple's hypervisor and QEMU's `virt` have a PL031.
  boot.initrd.availableKernelModules = lib.optional pkgs.stdenv.hostPlatform.isAarch64 "rtc_pl031";
}
