# The settings that there are, by table, for the option `settings` (src/snowshed/settings.py; a test compares).
{
  "" = [
    "accel"
    "cores"
    "disk_size"
    "driver"
    "idle"
    "image"
    "initrd"
    "kernel"
    "memory"
    "metrics_port"
    "nested_virtualization"
    "network"
    "nix"
    "on_demand"
    "port"
    "rosetta"
    "share_nix_store"
    "shares"
    "stop_grace"
    "system"
    "system_path"
    "verbose"
    "watchdog"
  ];
  idle = [
    "action"
    "timeout"
  ];
  nix = [
    "ca_bundle"
    "emulate"
    "features"
    "max_free"
    "max_jobs"
    "min_free"
    "netrc"
    "no_proxy"
    "protocol"
    "proxy"
    "speed_factor"
    "substituters"
    "trusted_public_keys"
  ];
  watchdog = [
    "action"
    "timeout"
  ];
}
