# The settings file for a builder in the place of nixpkgs'. `boots` is the image, or a guest with the
# user's own configuration. What nobody set is left to snowshed, which knows the host.
{
  lib,
  config,
  options,
  boots,
}:
let
  inherit (config.virtualisation) darwin-builder;
  set = option: option.highestPrio < (lib.mkOptionDefault null).priority;
  ours = options.virtualisation;
in
{
  port = darwin-builder.hostPort;
  disk_size = "${toString config.virtualisation.diskSize}M";
  idle.timeout = 180;
  nix = {
    min_free = darwin-builder.min-free;
    max_free = darwin-builder.max-free;
  };
}
// lib.optionalAttrs (set ours.cores) { inherit (config.virtualisation) cores; }
// lib.optionalAttrs (set ours.memorySize || set ours.darwin-builder.memorySize) {
  memory = config.virtualisation.memorySize;
}
// boots
