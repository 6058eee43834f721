# The plan by which builders become known to root's Nix (src/snowshed/nix/registration.py): the most that each may say
# of itself. A pure function.
{ lib, ownSystem }:
{
  directory,
  snowshed,
  asUser,
  builders,
}:
let
  everyFeature = [
    "benchmark"
    "big-parallel"
    "kvm"
    "nixos-test"
  ];

  entry = builder: {
    inherit (builder) key name state;
    host = builder.hostName;
    config = toString builder.settingsFile;
    systems = lib.unique (
      [ (if builder.system != null then builder.system else ownSystem) ]
      ++ import ./foreign.nix { inherit lib; } builder
    );
    features = if builder.supportedFeatures != null then builder.supportedFeatures else everyFeature;
    mandatory = builder.mandatoryFeatures;
    max_jobs = if builder.maxJobs != null then builder.maxJobs else 0;
    speed_factor = builder.speedFactor;
    inherit (builder) protocol;
    share_key = builder.allowUserSsh;
  };
in
{
  inherit directory snowshed;
  as_user = asUser;
  builders = map entry (lib.attrValues builders);
}
