# From a builder's options to the settings file that snowshed reads and validates (src/snowshed/config.py): a pure
# function. What was not said is left out, so that snowshed's own defaults, which know the host, hold.
{ lib, guest }:
builder:
let
  said = lib.filterAttrsRecursive (_: value: value != null);

  share = directory: {
    inherit (directory) path;
    read_only = directory.readOnly;
  };

  emulate = import ./foreign.nix { inherit lib; } builder;
in
lib.recursiveUpdate (said (guest builder // {
  inherit (builder)
    cores
    driver
    memory
    network
    port
    rosetta
    system
    ;
  accel = builder.accelerator;
  disk_size = builder.diskSize;
  nested_virtualization = builder.nestedVirtualization;
  on_demand = builder.onDemand.enable;
  verbose = builder.verbose || builder.debug;
  shares = lib.mapAttrs (_: share) builder.sharedDirectories;
  idle = {
    timeout = if builder.idleTimeout != null then builder.idleTimeout else builder.onDemand.ttl;
    action = builder.idleAction;
  };
  nix = {
    inherit emulate;
    inherit (builder)
      netrc
      protocol
      proxy
      substituters
      ;
    ca_bundle = builder.caBundle;
    features = builder.supportedFeatures;
    max_free = builder.maxFree;
    max_jobs = builder.maxJobs;
    min_free = builder.minFree;
    no_proxy = builder.noProxy;
    speed_factor = builder.speedFactor;
    trusted_public_keys = builder.trustedPublicKeys;
  };
})) builder.settings
